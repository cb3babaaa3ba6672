import Engine
import Federation

/// The golden cases of the cascade: which images leave and stay, its costs, and the aggregation.
enum CascadeCases {
  static let operations: [String: Conformance.Operation] = [
    "cascade_selection": selection, "cascade_exits": exits, "cascade_cost": cost, "cascade_fedavg": aggregate,
  ]

  private static func rule(_ golden: GoldenCase) throws -> ExitRule {
    var rule = ExitRule(confidence: Float(try golden.number("threshold")))
    if golden.has("gate") { rule.gate = Float(try golden.number("gate")) }
    return rule
  }

  private static func selection(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let (logits, labels) = try (tensors("in.logits"), tensors("in.labels").values.map { Int($0) })
    let commitments = tensors.has("in.commitments") ? try tensors("in.commitments").values : nil
    guard logits.shape.count == 2, logits.shape[0] == labels.count,
      commitments.map({ $0.count == labels.count }) ?? true
    else { throw ConformanceError("logits of the shape \(logits.shape) for \(labels.count) images") }
    let (rule, classes) = (try rule(golden), logits.shape[1])
    var values = logits.values
    let predictions = values.withUnsafeMutableBufferPointer { values in
      labels.indices.map { image in
        let answer = EarlyExits.Prediction(
          logits: values.baseAddress! + image * classes, count: classes, depth: 1)
        return EarlyExits.Prediction(
          label: answer.label, confidence: answer.confidence, commitment: commitments?[image], depth: 1)
      }
    }
    var comparison = Comparison()
    try comparison.compare(
      "out.confidences", predictions.map(\.confidence), with: tensors("out.confidences").values)
    try comparison.compare(
      "out.stays", zip(predictions, labels).map { rule.keeps($0, label: $1) ? 1 : 0 },
      with: tensors("out.stays").values)
    return comparison
  }

  private static func exits(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let confidences = try tensors("in.confidences")
    let commitments = tensors.has("in.commitments") ? try tensors("in.commitments").values : nil
    guard confidences.shape.count == 2, commitments.map({ $0.count == confidences.values.count }) ?? true
    else { throw ConformanceError("confidences of the shape \(confidences.shape)") }
    let (rule, stages, images) = (try rule(golden), confidences.shape[0], confidences.shape[1])
    let leaving = (0..<images).map { image in
      let first = (0..<stages).first { stage in
        let index = stage * images + image
        return rule.isMet(confidence: confidences.values[index], commitment: commitments?[index])
      }
      return Float((first ?? stages - 1) + 1)
    }
    var comparison = Comparison()
    try comparison.compare("out.exits", leaving, with: tensors("out.exits").values)
    return comparison
  }

  private static func cost(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let (blocks, exits) = try (tensors("in.blocks").values, tensors("in.heads").values)
    let (remaining, leaving) = try (tensors("in.remaining").values, tensors("in.leaving").values)
    guard !blocks.isEmpty, [exits.count, remaining.count, leaving.count].allSatisfy({ $0 == blocks.count })
    else { throw ConformanceError("\(blocks.count) blocks, \(exits.count) heads, \(remaining.count) stages") }
    let epochs = try golden.integer("epochs")
    let costs = ExitCosts(blocks: blocks.map { Double($0) }, exits: exits.map { Double($0) })
    let images = remaining.map { Int($0) }
    var comparison = Comparison()
    let training = costs.training(passes: images.map { $0 * epochs }, selecting: images)
    try comparison.compare("out.training", [Float(training)], with: tensors("out.training").values)
    let endToEnd = costs.endToEnd(passes: images[0] * epochs * blocks.count)
    try comparison.compare("out.end_to_end", [Float(endToEnd)], with: tensors("out.end_to_end").values)
    let inference = costs.inference(leaving: leaving.map { Int($0) })
    try comparison.compare("out.inference", [Float(inference)], with: tensors("out.inference").values)
    return comparison
  }

  private static func aggregate(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let (updates, remaining) = try (tensors("in.updates"), tensors("in.remaining").values.map { Int($0) })
    guard updates.shape.count == 2, updates.shape[0] == remaining.count, remaining.contains(where: { $0 > 0 })
    else { throw ConformanceError("updates of the shape \(updates.shape) of \(remaining.count) clients") }
    let count = updates.shape[1]
    var mean = WeightedMean(count: count, samples: remaining.reduce(0, +))
    updates.values.withUnsafeBufferPointer { values in
      for (client, samples) in remaining.enumerated() {
        mean.fold(
          UnsafeBufferPointer(rebasing: values[client * count..<(client + 1) * count]), samples: samples)
      }
    }
    let result = mean.finish().withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    var comparison = Comparison()
    try comparison.compare("out.aggregate", result, with: tensors("out.aggregate").values)
    return comparison
  }
}
