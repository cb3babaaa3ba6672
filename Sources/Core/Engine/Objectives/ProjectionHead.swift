/// A head of a self-supervised loss: Linear, BatchNorm and ReLU for each hidden layer; Linear and BatchNorm without
/// affine part for the last (arXiv 2104.02057), or Linear alone.
///
/// B images of one view; widths are input, hidden …, output.
package struct ProjectionHead: Sendable {
  package let widths: [Int]
  package let linears: [Linear]
  /// The normalisations of the layers, the last of which may have none.
  package let norms: [BatchNorm]

  /// Parameters are numbered as in an nn.Sequential: 0 Linear, 1 BatchNorm, 2 ReLU, 3 Linear …
  package init(
    _ name: String, widths: [Int], bias: Bool, normalisesOutput: Bool = true, in layout: inout Layout
  ) {
    precondition(widths.count >= 2, "a head needs an input and an output")
    var (linears, norms): ([Linear], [BatchNorm]) = ([], [])
    for index in 0..<widths.count - 1 {
      let (inputs, outputs) = (widths[index], widths[index + 1])
      linears.append(
        Linear("\(name).\(3 * index)", inputs: inputs, outputs: outputs, bias: bias, in: &layout))
      let isLast = index == widths.count - 2
      guard !isLast || normalisesOutput else { continue }
      norms.append(
        BatchNorm("\(name).\(3 * index + 1)", width: outputs, affine: !isLast, in: &layout))
    }
    (self.widths, self.linears, self.norms) = (widths, linears, norms)
  }

  /// The width of the output.
  package var output: Int { widths[widths.count - 1] }

  /// Creates the projector for representations of `width`: width-hidden-hidden-output.
  package static func projector(
    _ heads: HeadConfiguration, width: Int, normalisesOutput: Bool = true, in layout: inout Layout
  ) -> ProjectionHead {
    layout.part = "projector"
    return ProjectionHead(
      "projector", widths: [width, heads.hidden, heads.hidden, heads.output], bias: heads.bias,
      normalisesOutput: normalisesOutput, in: &layout)
  }

  /// Creates the predictor of MoCo v3 and BYOL after the projector: output-hidden-output.
  package static func predictor(_ heads: HeadConfiguration, in layout: inout Layout) -> ProjectionHead {
    layout.part = "predictor"
    return ProjectionHead(
      "predictor", widths: [heads.output, heads.hidden, heads.output], bias: heads.bias, in: &layout)
  }

  /// The distributions of nn.Linear; biases are 0, normalisations 1 and 0.
  package static func distribution(of entry: Layout.Entry) -> Initialisation.Distribution {
    if entry.shape.count == 1 { return .constant(entry.name.hasSuffix("weight") ? 1 : 0) }
    return .uniform(bound: 1 / Float(entry.slot.columns).squareRoot())
  }

  /// The floating-point operations of an image's forward pass; only matrix products count.
  package var operations: Int { zip(widths, widths.dropFirst()).reduce(0) { $0 + 2 * $1.0 * $1.1 } }

  /// The values kept for the backward pass: the output of layer i after ReLU and, except for the last, memory for its
  /// gradient, each [B, widths[i + 1]].
  package struct Trace {
    let norms: [BatchNorm.Trace]
    let outputs: [Matrix]
    let gradients: [Matrix]

    /// The head's output [B, output].
    package var output: Matrix { outputs[outputs.count - 1] }
  }

  /// The slots of a trace of a batch of `rows` images.
  package struct TracePlan: Sendable {
    private let norms: [(normalised: Slot, scale: Slot)]
    private let outputs: [Slot]
    private let gradients: [Slot]

    package init(_ head: ProjectionHead, rows: Int, in layout: inout Layout) {
      var (norms, outputs): ([(normalised: Slot, scale: Slot)], [Slot]) = ([], [])
      for (index, width) in head.widths.dropFirst().enumerated() {
        if index < head.norms.count {
          norms.append((layout.add("normalised", rows, width), layout.add("scale", width)))
        }
        outputs.append(layout.add("output", rows, width))
      }
      (self.norms, self.outputs) = (norms, outputs)
      var gradients: [Slot] = []
      for width in head.widths.dropFirst().dropLast() {
        gradients.append(layout.add("gradient", rows, width))
      }
      self.gradients = gradients
    }

    package func trace(_ storage: borrowing Storage) -> Trace {
      var (norms, outputs): ([BatchNorm.Trace], [Matrix]) = ([], [])
      for norm in self.norms {
        norms.append(BatchNorm.Trace(normalised: storage[norm.normalised], scale: storage[norm.scale]))
      }
      for slot in self.outputs { outputs.append(storage[slot]) }
      var room: [Matrix] = []
      for slot in gradients { room.append(storage[slot]) }
      return Trace(norms: norms, outputs: outputs, gradients: room)
    }
  }

  /// Writes the output to `trace.output`.                                x [B, input]
  package func forward(_ x: Matrix, _ trace: Trace, _ parameters: borrowing Storage) {
    var input = x
    for index in linears.indices {
      let output = trace.outputs[index]
      linears[index].forward(input, into: output, parameters)
      if index < norms.count { norms[index].forward(output, into: output, trace.norms[index], parameters) }
      if index < linears.count - 1 { Elementwise.relu(output) }
      input = output
    }
  }

  /// Computes dx [B, input] from dy [B, output], which is overwritten; x is the input of the forward pass.
  package func backward(
    _ dy: Matrix, input x: Matrix, into dx: Matrix, _ trace: Trace, _ parameters: borrowing Storage,
    _ gradients: borrowing Storage
  ) {
    var gradient = dy
    for index in linears.indices.reversed() {
      if index < norms.count { norms[index].backward(gradient, trace.norms[index], parameters, gradients) }
      let input = index > 0 ? trace.outputs[index - 1] : x
      let below = index > 0 ? trace.gradients[index - 1] : dx
      linears[index].backward(gradient, input: input, into: below, parameters, gradients)
      if index > 0 { Elementwise.reluBackward(below, output: input) }
      gradient = below
    }
  }
}

/// The heads of a self-supervised loss, which are discarded after training.
///
/// The projector is D-hidden-hidden-output; the predictor (MoCo v3, BYOL) output-hidden-output.
package struct HeadConfiguration: Sendable, Hashable, Codable {
  package var hidden: Int
  package var output: Int
  /// Whether the heads' linear layers have a bias.
  package var bias: Bool

  package init(hidden: Int = 512, output: Int = 256, bias: Bool = false) {
    self.hidden = hidden
    self.output = output
    self.bias = bias
  }
}
