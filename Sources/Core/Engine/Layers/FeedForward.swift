/// A transformer block's MLP: fc2(GELU(fc1(x))).
///
/// R rows, D = width, M = hidden width.
package struct FeedForward: Sendable {
  package let fc1: Linear
  package let fc2: Linear

  /// Adds `name.fc1` and `name.fc2`, as named in timm.
  package init(_ name: String, width: Int, hidden: Int, in layout: inout Layout) {
    fc1 = Linear("\(name).fc1", inputs: width, outputs: hidden, in: &layout)
    fc2 = Linear("\(name).fc2", inputs: hidden, outputs: width, in: &layout)
  }

  /// The work space: GELU's output [R, M] and the gradient of its input [R, M].
  package struct Scratch {
    package let activated: Matrix
    package let gradient: Matrix
  }

  /// y += fc2(GELU(fc1(x))). The trace is fc1's output.           x, y [R, D], hidden [R, M]
  ///
  /// `hidden` may be the scratch's `activated`: then no trace is kept, and less of the cache is used.
  package func forward(
    _ x: Matrix, adding y: Matrix, hidden: Matrix, _ scratch: Scratch, _ parameters: borrowing Storage
  ) {
    let activated = scratch.activated.rows(0..<x.rows)
    fc1.forward(x, into: hidden, parameters)
    Elementwise.gelu(hidden, into: activated)
    fc2.forward(activated, adding: y, parameters)
  }

  /// Computes dx from dy; x is the input of the forward pass.      dy, dx [R, D]
  ///
  /// GELU's output is recomputed, because it is four times as wide as everything else that a block keeps.
  package func backward(
    _ dy: Matrix, input x: Matrix, into dx: Matrix, hidden: Matrix, _ scratch: Scratch,
    _ parameters: borrowing Storage, _ gradients: borrowing Storage
  ) {
    let activated = scratch.activated.rows(0..<dy.rows)
    let gradient = scratch.gradient.rows(0..<dy.rows)
    Elementwise.gelu(hidden, into: activated)
    fc2.backward(dy, input: activated, into: gradient, parameters, gradients)
    Elementwise.geluBackward(gradient, input: hidden, into: gradient)
    fc1.backward(gradient, input: x, into: dx, parameters, gradients)
  }
}
