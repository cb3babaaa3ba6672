/// A residual block of ResNet-18 (arXiv 1512.03385, figure 5, left):
/// y = relu(norm(conv(relu(norm(conv(x))))) + shortcut(x)).
package struct BasicBlock: Sendable {
  /// A convolution and the normalisation behind it.
  package struct Unit: Sendable {
    package let convolution: Convolution
    package let norm: ChannelNorm

    init(
      _ name: String, _ normName: String, inputs: Int, outputs: Int, kernel: Int, stride: Int, side: Int,
      in layout: inout Layout
    ) {
      convolution = Convolution(
        name, inputs: inputs, outputs: outputs, kernel: kernel, stride: stride, side: side, in: &layout)
      let area = convolution.outputSide * convolution.outputSide
      norm = ChannelNorm(normName, channels: outputs, area: area, in: &layout)
    }
  }

  package let first, second: Unit
  /// Nil where the input is added as it is.
  package let shortcut: Unit?

  /// Adds torchvision's `name.conv1`, `.bn1`, `.conv2`, `.bn2` and `.downsample`.
  package init(_ name: String, inputs: Int, outputs: Int, stride: Int, side: Int, in layout: inout Layout) {
    first = Unit(
      "\(name).conv1", "\(name).bn1", inputs: inputs, outputs: outputs, kernel: 3, stride: stride, side: side,
      in: &layout)
    second = Unit(
      "\(name).conv2", "\(name).bn2", inputs: outputs, outputs: outputs, kernel: 3, stride: 1,
      side: first.convolution.outputSide, in: &layout)
    shortcut =
      stride == 1 && inputs == outputs
      ? nil
      : Unit(
        "\(name).downsample.0", "\(name).downsample.1", inputs: inputs, outputs: outputs, kernel: 1,
        stride: stride, side: side, in: &layout)
  }

  package var units: [Unit] { [first, second] + (shortcut.map { [$0] } ?? []) }
  package var inputSize: Int { first.convolution.inputSize }
  package var outputSize: Int { second.convolution.outputSize }
}
