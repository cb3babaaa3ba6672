import Foundation

/// The learned controller of L2-GCN (arXiv 2003.13606), which ends the stages of a training by their losses: an LSTM of
/// 8 units with one decoder for each decision.
///
/// S stages, T decisions in a run, counted as t = 0, 1, …; E = max(1, 7 - S), as in the authors' program for S up to 6.
/// The input of a decision in stage s, from 0, is
///
/// x = (0.1 a, embedding[2 t + previous action])        a [S + 1]: loss_t - loss_0 + 1 everywhere, 1 at s + 1
/// (h, c) = LSTM(x, (h, c));  p = softmax(decoder_t h)   p[1]: the probability that the stage ends
///
/// Further decisions than T use the embeddings and the decoder of the last one. All arithmetic is in double precision,
/// on parameters in single precision.
package struct StageController: Sendable, Hashable {
  package let shape: Shape
  /// The parameters in the order of ``Shape/layout``, with PyTorch's names and shapes.
  package var parameters: [Float]

  /// The sizes of a controller, and the places of its parameters.
  package struct Shape: Sendable {
    /// S and T, at least 1.
    package let stages, decisions: Int
    package let layout: Layout
    let inputWeight, hiddenWeight, inputBias, hiddenBias, embedding: Slot
    let decoders: [(weight: Slot, bias: Slot)]

    package init(stages: Int, decisions: Int) {
      precondition(stages >= 1 && decisions >= 1, "\(stages) stages with \(decisions) decisions")
      (self.stages, self.decisions) = (stages, decisions)
      let (units, actions) = (StageController.units, StageController.actions)
      let embedded = max(1, 7 - stages)
      let inputs = stages + 1 + embedded
      var layout = Layout()
      inputWeight = layout.add("lstm.weight_ih", 4 * units, inputs)
      hiddenWeight = layout.add("lstm.weight_hh", 4 * units, units)
      inputBias = layout.add("lstm.bias_ih", 4 * units)
      hiddenBias = layout.add("lstm.bias_hh", 4 * units)
      embedding = layout.add("embedding.weight", actions * decisions, embedded)
      decoders = (0..<decisions).map {
        (
          weight: layout.add("decoder.\($0).weight", actions, units),
          bias: layout.add("decoder.\($0).bias", actions)
        )
      }
      self.layout = layout
    }

    /// The length of an input.
    package var inputs: Int { inputWeight.columns }
  }

  /// H
  package static let units = 8
  /// Go on, and end the stage.
  static let actions = 2

  /// Creates a controller with these parameters.
  package init(_ shape: Shape, parameters: [Float]) {
    precondition(
      parameters.count == shape.layout.count,
      "\(parameters.count) parameters for a controller of \(shape.layout.count)")
    (self.shape, self.parameters) = (shape, parameters)
  }

  /// Draws the parameters from PyTorch's distributions: embeddings normal, all others uniform in ±1 / sqrt(H).
  package init(_ shape: Shape, seed: UInt64) {
    var parameters = [Float](repeating: 0, count: shape.layout.count)
    let bound = 1 / Float(Self.units).squareRoot()
    for entry in shape.layout.entries {
      var random = RandomNumbers(seed, "controller \(entry.name)")
      for index in entry.slot.range {
        parameters[index] = entry.slot == shape.embedding ? random.normal() : random.uniform(-bound, bound)
      }
    }
    self.init(shape, parameters: parameters)
  }

  /// What a controller keeps from one decision to the next: t, h, c, loss_0, and the action that followed the last
  /// decision.
  package struct State: Sendable, Hashable {
    package fileprivate(set) var decisions = 0
    fileprivate var hidden = [Double](repeating: 0, count: StageController.units)
    fileprivate var cell = [Double](repeating: 0, count: StageController.units)
    fileprivate var firstLoss: Double?
    /// Whether the stage ended after the last decision; to be set before the next one.
    package var hasEnded = false

    package init() {}
  }

  /// Returns the probability, 0 … 1, with which the stage ends now; NaN only if the numbers leave the range of doubles.
  ///
  /// - Parameter stage: counted from 0.
  package func decide(loss: Double, stage: Int, _ state: inout State) -> Double {
    step(loss: loss, stage: stage, &state).stop
  }

  /// The values of a decision that its gradient needs.
  struct Step {
    /// t, at most T - 1, and the row of the embedding.
    let decision, row: Int
    /// x [I], and h and c before [H].
    let input, hiddenBefore, cellBefore: [Double]
    /// The gates after their functions, in PyTorch's order i, f, g, o [4 H], and h and c after [H].
    let gates, hidden, cell: [Double]
    /// p [2]
    let probabilities: [Double]

    var stop: Double { probabilities[1] }
  }

  func step(loss: Double, stage: Int, _ state: inout State) -> Step {
    precondition((0..<shape.stages).contains(stage), "stage \(stage) of \(shape.stages)")
    let first = state.firstLoss ?? loss
    let decision = min(state.decisions, shape.decisions - 1)
    let row = Self.actions * decision + (state.hasEnded ? 1 : 0)
    var input = [Double](repeating: 0.1 * (loss - first + 1), count: shape.stages + 1)
    input[stage + 1] = 0.1
    let embedded = shape.embedding.columns
    input += (0..<embedded).map { Double(parameters[shape.embedding.offset + row * embedded + $0]) }
    let (gates, cell, hidden) = lstm(input, state.hidden, state.cell)
    let decoder = shape.decoders[decision]
    let logits = product(decoder.weight, hidden, adding: vector(decoder.bias))
    let step = Step(
      decision: decision, row: row, input: input, hiddenBefore: state.hidden, cellBefore: state.cell,
      gates: gates, hidden: hidden, cell: cell, probabilities: Self.softmax(logits))
    (state.firstLoss, state.hidden, state.cell) = (first, hidden, cell)
    state.decisions += 1
    return step
  }

  /// PyTorch's LSTM cell.
  private func lstm(
    _ input: [Double], _ hidden: [Double], _ cell: [Double]
  ) -> (gates: [Double], cell: [Double], hidden: [Double]) {
    let bias = zip(vector(shape.inputBias), vector(shape.hiddenBias)).map { $0 + $1 }
    var gates = product(
      shape.hiddenWeight, hidden, adding: product(shape.inputWeight, input, adding: bias))
    let units = Self.units
    for index in gates.indices {
      let isCandidate = (2 * units..<3 * units).contains(index)
      gates[index] = isCandidate ? tanh(gates[index]) : 1 / (1 + exp(-gates[index]))
    }
    let cell = (0..<units).map { gates[units + $0] * cell[$0] + gates[$0] * gates[2 * units + $0] }
    return (gates, cell, (0..<units).map { gates[3 * units + $0] * tanh(cell[$0]) })
  }

  private static func softmax(_ logits: [Double]) -> [Double] {
    let largest = logits.max() ?? 0
    let powers = logits.map { exp($0 - largest) }
    let sum = powers.reduce(0, +)
    return powers.map { $0 / sum }
  }

  private func vector(_ slot: Slot) -> [Double] { parameters[slot.range].map(Double.init) }

  /// Returns start + W x.
  private func product(_ weight: Slot, _ x: [Double], adding start: [Double]) -> [Double] {
    start.indices.map { row in
      let first = weight.offset + row * weight.columns
      return x.indices.reduce(start[row]) { $0 + Double(parameters[first + $1]) * x[$1] }
    }
  }
}

/// Shapes are equal if their sizes are.
extension StageController.Shape: Hashable {
  package static func == (one: Self, other: Self) -> Bool {
    (one.stages, one.decisions) == (other.stages, other.decisions)
  }

  package func hash(into hasher: inout Hasher) {
    hasher.combine(stages)
    hasher.combine(decisions)
  }
}
