import Engine
import Federation

/// The golden cases of training with labels, except for whole steps.
enum ClassificationCases {
  static let operations: [String: Conformance.Operation] = [
    "classification_head": classifier, "commitment_loss": commitmentLoss,
    "tau_schedule": tauSchedule,
  ]

  private static func classifier(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let dims = try golden.integers("dims")
    let (given, labels) = try (tensors("in.t"), tensors("in.labels").values.map { Int($0) })
    guard (2...3).contains(dims.count), dims.allSatisfy({ $0 > 0 }), given.shape == [labels.count, dims[0]],
      let classes = dims.last, labels.allSatisfy((0..<classes).contains)
    else { throw ConformanceError("a classifier of \(dims) for features of \(given.shape)") }
    let configuration = ClassifierConfiguration(
      classes: classes, hidden: dims.count == 3 ? dims[1] : 0,
      smoothing: Float(try golden.number("smoothing")))
    var (layout, work) = (Layout(), Layout())
    layout.part = "classifier"
    let head = Classifier(configuration, width: dims[0], in: &layout)
    let trace = Classifier.TracePlan(head, rows: labels.count, in: &work)
    let (t, dt) = (work.add("t", labels.count, dims[0]), work.add("dt", labels.count, dims[0]))
    let parameters = Storage(layout)
    let gradients = Storage(layout)
    let memory = Storage(work)
    for entry in layout.entries {
      let tensor = try tensors("param.\(entry.name.dropFirst("classifier.".count))")
      guard tensor.values.count == entry.slot.count else {
        throw ConformanceError("\(entry.name) has the shape \(tensor.shape)")
      }
      parameters[entry.slot].fill(with: tensor.values)
    }
    memory[t].fill(with: given.values)
    let rows = 0..<labels.count
    head.forward(memory[t], trace, rows: rows, memory, parameters)
    var comparison = Comparison()
    try comparison.compare("out.logits", memory[trace.logits].array(), with: tensors("out.logits").values)
    let loss = CrossEntropy.loss(memory[trace.logits], smoothing: configuration.smoothing) { labels[$0] }
    try comparison.compare("out.loss", [loss], with: tensors("out.loss").values)
    head.backward(input: memory[t], into: memory[dt], trace, rows: rows, memory, parameters, gradients)
    try comparison.compare("out.dt", memory[dt].array(), with: tensors("out.dt").values)
    for entry in layout.entries {
      let name = "grad.\(entry.name.dropFirst("classifier.".count))"
      try comparison.compare(name, gradients[entry.slot].array(), with: tensors(name).values)
    }
    return comparison
  }

  private static func commitmentLoss(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let (given, logits) = try (tensors("in.u"), tensors("in.logits"))
    let labels = try tensors("in.labels").values.map { Int($0) }
    guard logits.shape.count == 2, logits.shape[0] == labels.count, given.values.count == labels.count else {
      throw ConformanceError("commitments of the shape \(given.shape) for \(labels.count) images")
    }
    var layout = Layout()
    let (y, u) = (layout.add("logits", labels.count, logits.shape[1]), layout.add("u", labels.count, 1))
    let right = layout.add("right", labels.count, 1)
    let work = Storage(layout)
    work[y].fill(with: logits.values)
    work[u].fill(with: given.values)
    CommitmentLoss.right(work[y], into: work[right]) { labels[$0] }
    var comparison = Comparison()
    let loss = CommitmentLoss.loss(work[u], right: work[right])
    try comparison.compare("out.loss", [loss], with: tensors("out.loss").values)
    try comparison.compare("out.du", work[u].array(), with: tensors("out.du").values)
    return comparison
  }

  private static func tauSchedule(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let stages = try golden.integer("stages")
    guard (1...PlanLimits.depth).contains(stages) else { throw ConformanceError("\(stages) stages") }
    let plan = Plan(encoder: EncoderConfiguration(image: 8, patch: 4, width: 8, depth: stages, heads: 2))
    let settings = KineticSettings(tau: Float(try golden.number("tau")))
    var comparison = Comparison()
    try comparison.compare(
      "out.tau", (1...stages).map { settings.tau(plan, stage: $0) }, with: tensors("out.tau").values)
    return comparison
  }
}
