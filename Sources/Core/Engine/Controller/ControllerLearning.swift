import Foundation

/// A decision of a run, as it was taken.
package struct ControllerDecision: Sendable, Hashable, Codable {
  /// The loss on which the decision was based.
  package let loss: Double
  /// The stage, counted from 0.
  package let stage: Int
  /// Whether the stage ended.
  package let ends: Bool

  package init(loss: Double, stage: Int, ends: Bool) {
    (self.loss, self.stage, self.ends) = (loss, stage, ends)
  }
}

extension StageController {
  /// The probabilities of a run's decisions, and the gradient of its term of REINFORCE.
  package struct Review {
    /// The probability of ending at each decision.
    package let stop: [Double]
    /// The logarithm of the probability of the action that was taken, at each decision.
    package let logProbabilities: [Double]
    /// Σ log p_t(a_t) x advantage, and its gradient in the order of the parameters.
    package let loss: Double
    package let gradient: [Float]
  }

  /// Reviews a run with REINFORCE: the loss is Σ log p_t(a_t) x advantage, where a_t is the action that was taken.
  package func review(_ decisions: [ControllerDecision], advantage: Double) -> Review {
    var (state, steps) = (State(), [Step]())
    for decision in decisions {
      steps.append(step(loss: decision.loss, stage: decision.stage, &state))
      state.hasEnded = decision.ends
    }
    let logarithms = zip(steps, decisions).map { log($0.probabilities[$1.ends ? 1 : 0]) }
    return Review(
      stop: steps.map(\.stop), logProbabilities: logarithms,
      loss: advantage * logarithms.reduce(0, +), gradient: gradient(steps, decisions, advantage))
  }

  /// Goes back through the decisions, from the last one.
  private func gradient(
    _ steps: [Step], _ decisions: [ControllerDecision], _ advantage: Double
  ) -> [Float] {
    var gradient = [Double](repeating: 0, count: parameters.count)
    var hidden = [Double](repeating: 0, count: Self.units)
    var cell = hidden
    for (step, decision) in zip(steps, decisions).reversed() {
      let logits = step.probabilities.enumerated().map { action, probability in
        advantage * ((action == (decision.ends ? 1 : 0) ? 1 : 0) - probability)
      }
      let decoder = shape.decoders[step.decision]
      accumulate(decoder.weight, logits, step.hidden, &gradient)
      for action in logits.indices { gradient[decoder.bias.offset + action] += logits[action] }
      for (unit, value) in transposed(decoder.weight, logits).enumerated() { hidden[unit] += value }
      (hidden, cell) = backward(step, hidden, cell, &gradient)
    }
    return gradient.map(Float.init)
  }

  /// Goes back through an LSTM cell, from the gradients of its h and c. Returns those of h and c before.
  private func backward(
    _ step: Step, _ hidden: [Double], _ cell: [Double], _ gradient: inout [Double]
  ) -> (hidden: [Double], cell: [Double]) {
    let units = Self.units
    var sums = [Double](repeating: 0, count: 4 * units)
    var before = [Double](repeating: 0, count: units)
    for unit in 0..<units {
      let (i, f) = (step.gates[unit], step.gates[units + unit])
      let (g, o) = (step.gates[2 * units + unit], step.gates[3 * units + unit])
      let squashed = tanh(step.cell[unit])
      let d = cell[unit] + hidden[unit] * o * (1 - squashed * squashed)
      sums[unit] = d * g * i * (1 - i)
      sums[units + unit] = d * step.cellBefore[unit] * f * (1 - f)
      sums[2 * units + unit] = d * i * (1 - g * g)
      sums[3 * units + unit] = hidden[unit] * squashed * o * (1 - o)
      before[unit] = d * f
    }
    accumulate(shape.inputWeight, sums, step.input, &gradient)
    accumulate(shape.hiddenWeight, sums, step.hiddenBefore, &gradient)
    for (index, value) in sums.enumerated() {
      gradient[shape.inputBias.offset + index] += value
      gradient[shape.hiddenBias.offset + index] += value
    }
    let embedded = shape.embedding.columns
    let input = transposed(shape.inputWeight, sums).suffix(embedded)
    for (column, value) in input.enumerated() {
      gradient[shape.embedding.offset + step.row * embedded + column] += value
    }
    return (transposed(shape.hiddenWeight, sums), before)
  }

  /// dW += dy xᵀ
  private func accumulate(_ weight: Slot, _ dy: [Double], _ x: [Double], _ gradient: inout [Double]) {
    for row in dy.indices {
      let first = weight.offset + row * weight.columns
      for column in x.indices { gradient[first + column] += dy[row] * x[column] }
    }
  }

  /// Returns Wᵀ dy.
  private func transposed(_ weight: Slot, _ dy: [Double]) -> [Double] {
    (0..<weight.columns).map { column in
      dy.indices.reduce(0) {
        $0 + Double(parameters[weight.offset + $1 * weight.columns + column]) * dy[$1]
      }
    }
  }
}

/// The baseline of REINFORCE, a moving average of the costs.
package struct CostBaseline: Sendable, Hashable {
  package private(set) var value: Double
  /// The share that an episode keeps.
  package let ratio: Double

  package init(_ value: Double = 0.3, ratio: Double = 0.9) { (self.value, self.ratio) = (value, ratio) }

  /// Takes in a cost. Returns its advantage over the new baseline.
  package mutating func advantage(of cost: Double) -> Double {
    value = ratio * value + (1 - ratio) * cost
    return cost - value
  }
}

/// Trains a controller by REINFORCE: one Adam step for each episode, at the authors' rate.
package final class ControllerLearner {
  package private(set) var controller: StageController
  private var baseline: CostBaseline?
  private let optimiser: AdamW
  private let parameters: Storage
  private let gradients: Storage

  private static let rate: Float = 0.05

  /// Without a baseline, that of the first run is its cost.
  package init(_ controller: StageController, baseline: CostBaseline? = nil) {
    (self.controller, self.baseline) = (controller, baseline)
    let range = controller.shape.layout.range
    optimiser = AdamW([range], weightDecay: 0)
    parameters = Storage(range)
    gradients = Storage(range)
  }

  /// Learns from a run and its cost. Returns the probability of ending at each of its decisions, before the step.
  package func learn(_ decisions: [ControllerDecision], cost: Double) -> [Double] {
    var baseline = baseline ?? CostBaseline(cost)
    let review = controller.review(decisions, advantage: baseline.advantage(of: cost))
    self.baseline = baseline
    for (index, value) in controller.parameters.enumerated() { parameters.all[0, index] = value }
    for (index, value) in review.gradient.enumerated() { gradients.all[0, index] = value }
    optimiser.step(parameters, gradients, learningRate: Self.rate, Workers(1))
    controller.parameters = parameters.all.array()
    return review.stop
  }
}

/// The decisions at which the first episodes of a search end their stages, whatever the controller would do.
package enum ImposedStops {
  /// The episodes that form a group: all but the last of one have random stops, the last has stages of equal length.
  package static let group = 5

  /// Returns the decisions, ascending, after which the stages of an episode end, counted from 0; the last stage ends at
  /// the last decision. T > S, so that no stage is without a decision.
  package static func decisions(
    ofEpisode episode: Int, _ shape: StageController.Shape, _ random: inout RandomNumbers
  ) -> [Int] {
    let (stages, decisions) = (shape.stages, shape.decisions)
    precondition(decisions > stages, "\(decisions) decisions for \(stages) stages")
    let last = decisions - 1
    guard episode % group != group - 1 else {
      return (1..<max(stages, 1)).map { decisions * $0 / stages } + [last]
    }
    return (0..<last).shuffled(using: &random).prefix(stages - 1).sorted() + [last]
  }
}
