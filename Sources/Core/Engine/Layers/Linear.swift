/// y = x·Wᵀ + b.
///
/// R rows, I inputs, O outputs; W [O, I], b [O].
package struct Linear: Sendable {
  package let weight: Slot
  package let bias: Slot?

  /// Adds `name.weight` and, if it has a bias, `name.bias` to a parameter layout. `weightShape` is the shape of the
  /// weight in a checkpoint if it differs from [outputs, inputs].
  package init(
    _ name: String, inputs: Int, outputs: Int, bias hasBias: Bool = true, weightShape: [Int]? = nil,
    in layout: inout Layout
  ) {
    weight = layout.add("\(name).weight", outputs, inputs, shape: weightShape)
    bias = hasBias ? layout.add("\(name).bias", outputs) : nil
  }

  /// y = x·Wᵀ + b                                       x [R, I], y [R, O]
  package func forward(_ x: Matrix, into y: Matrix, _ parameters: borrowing Storage) {
    guard let bias else { return Products.product(x, parameters[weight].transposed, into: y) }
    // OpenBLAS would clear y first; starting from the bias saves this pass.
    Elementwise.fillRows(of: y, with: parameters[bias])
    Products.product(x, parameters[weight].transposed, into: y, keep: 1)
  }

  /// y += x·Wᵀ + b, so that the residual connection needs no additional memory.
  package func forward(_ x: Matrix, adding y: Matrix, _ parameters: borrowing Storage) {
    Products.product(x, parameters[weight].transposed, into: y, keep: 1)
    if let bias { Elementwise.addBias(parameters[bias], to: y) }
  }

  /// dx = dy·W,  dW += dyᵀ·x,  db += Σ dy               nil dx: not needed by lower layers
  ///
  /// If `gradients` has no space for the layer, the layer is frozen and only dx is computed, as in all layers.
  package func backward(
    _ dy: Matrix, input x: Matrix, into dx: Matrix?, _ parameters: borrowing Storage,
    _ gradients: borrowing Storage
  ) {
    if !gradients.isEmpty {
      Products.product(dy.transposed, x, into: gradients[weight], keep: 1)
      if let bias { Elementwise.addColumnSums(of: dy, to: gradients[bias]) }
    }
    if let dx { Products.product(dy, parameters[weight], into: dx) }
  }
}
