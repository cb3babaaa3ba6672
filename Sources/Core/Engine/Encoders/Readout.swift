/// The final step from the blocks' pooled output for an image to its representation.
///
/// n images, F = width of the input, D = width of the representation.
package enum Readout: Sendable {
  /// The final normalisation of a transformer; F = D.
  case norm(LayerNorm)
  /// The temporary linear layer of an unfinished ResNet (LW-FedSSL, arXiv 2401.11647, Table 4).
  case linear(Linear)
  /// The input is the representation.
  case identity

  /// The floating-point operations for an image; only matrix products count.
  package var operations: Int {
    guard case .linear(let linear) = self else { return 0 }
    return 2 * linear.weight.count
  }

  /// The slots of the trace for the backward pass of a number of rows.
  package enum TracePlan: Sendable {
    case norm(LayerNorm.TracePlan)
    case none
  }

  package func tracePlan(rows: Int, width: Int, in layout: inout Layout) -> TracePlan {
    guard case .norm = self else { return .none }
    return .norm(LayerNorm.TracePlan(rows: rows, width: width, in: &layout))
  }

  /// Computes representations y [n, D] from x [n, F], which use the rows `rows` of the trace.
  package func forward(
    _ x: Matrix, into y: Matrix, _ plan: TracePlan, rows: Range<Int>, _ work: borrowing Storage,
    _ parameters: borrowing Storage
  ) {
    switch (self, plan) {
    case (.norm(let norm), .norm(let trace)):
      norm.forward(x, into: y, trace.trace(work, rows: rows), parameters)
    case (.linear(let linear), .none): linear.forward(x, into: y, parameters)
    case (.identity, .none): Elementwise.copy(x, to: y)
    case (.norm, .none), (.linear, .norm), (.identity, .norm):
      preconditionFailure("the trace of another readout")
    }
  }

  /// Computes dx [n, F] from dy [n, D], which may be overwritten; x is the input of the forward pass.
  package func backward(
    _ dy: Matrix, input x: Matrix, into dx: Matrix, _ plan: TracePlan, rows: Range<Int>,
    _ work: borrowing Storage, _ parameters: borrowing Storage, _ gradients: borrowing Storage
  ) {
    switch (self, plan) {
    case (.norm(let norm), .norm(let trace)):
      Elementwise.fill(dx, 0)
      norm.backward(dy, trace.trace(work, rows: rows), adding: dx, parameters, gradients)
    case (.linear(let linear), .none): linear.backward(dy, input: x, into: dx, parameters, gradients)
    case (.identity, .none): Elementwise.copy(dy, to: dx)
    case (.norm, .none), (.linear, .norm), (.identity, .norm):
      preconditionFailure("the trace of another readout")
    }
  }
}
