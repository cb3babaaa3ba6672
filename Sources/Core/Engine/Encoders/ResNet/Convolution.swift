/// A convolution without bias over square images, computed as im2col and a matrix product.
///
/// C, O = input and output channels, k = side of the kernel, h = side of the input, H = side of the output, K = C·k·k;
/// an image is a row [C·h·h] or [O·H·H].
package struct Convolution: Sendable {
  package let weight: Slot
  package let inputs, outputs, kernel, stride, side: Int

  /// Adds `name.weight`, [O, C, k, k]. The padding is half the kernel.
  package init(
    _ name: String, inputs: Int, outputs: Int, kernel: Int, stride: Int, side: Int, in layout: inout Layout
  ) {
    (self.inputs, self.outputs, self.kernel) = (inputs, outputs, kernel)
    (self.stride, self.side) = (stride, side)
    weight = layout.add(
      "\(name).weight", outputs, inputs * kernel * kernel, shape: [outputs, inputs, kernel, kernel])
  }

  package var outputSide: Int { (side + stride - 1) / stride }
  package var inputSize: Int { inputs * side * side }
  package var outputSize: Int { outputs * outputSide * outputSide }
  /// The size K of a patch.
  package var patchSize: Int { inputs * kernel * kernel }
  /// The floating-point operations of one image's forward pass.
  package var operations: Int { 2 * patchSize * outputSize }

  /// The number of images per matrix product, which gives it enough columns if images are small.
  package var group: Int { max(1, 256 / (outputSide * outputSide)) }

  /// The floats of work space of a group of images: its patches and concatenated outputs.
  package var scratchSize: Int { group * outputSide * outputSide * (patchSize + outputs) }

  /// Computes y [n, O·H·H] = W * x for a group of images x [n, C·h·h].
  package func forward(
    _ x: Matrix, into y: Matrix, _ scratch: UnsafeMutablePointer<Float>, _ parameters: borrowing Storage
  ) {
    precondition(x.rows <= group && x.columns == inputSize && y.columns == outputSize)
    let (patches, wide) = split(scratch, images: x.rows)
    for image in 0..<x.rows { cut(x.row(image), image, into: patches) }
    Products.product(parameters[weight], patches, into: wide)
    let area = outputSide * outputSide
    for image in 0..<x.rows {
      for channel in 0..<outputs {
        (y.row(image) + channel * area).update(from: wide.row(channel) + image * area, count: area)
      }
    }
  }

  /// dW += dy·patchesᵀ, and dx += Wᵀ * dy unless no lower layer is trained, for a group of images.
  ///
  /// x, dx [n, C·h·h], dy [n, O·H·H]
  package func backward(
    _ dy: Matrix, input x: Matrix, adding dx: Matrix?, _ scratch: UnsafeMutablePointer<Float>,
    _ parameters: borrowing Storage, _ gradients: borrowing Storage
  ) {
    let (patches, wide) = split(scratch, images: x.rows)
    let area = outputSide * outputSide
    for image in 0..<x.rows {
      cut(x.row(image), image, into: patches)
      for channel in 0..<outputs {
        (wide.row(channel) + image * area).update(from: dy.row(image) + channel * area, count: area)
      }
    }
    if !gradients.isEmpty { Products.product(wide, patches.transposed, into: gradients[weight], keep: 1) }
    guard let dx else { return }
    Products.product(parameters[weight].transposed, wide, into: patches)
    for image in 0..<x.rows { paste(patches, image, adding: dx.row(image)) }
  }

  /// Returns the patches [K, n·H·H] and outputs [O, n·H·H] of n images.
  private func split(_ scratch: UnsafeMutablePointer<Float>, images: Int) -> (Matrix, Matrix) {
    let columns = images * outputSide * outputSide
    return (
      Matrix(scratch, rows: patchSize, columns: columns),
      Matrix(scratch + patchSize * columns, rows: outputs, columns: columns)
    )
  }

  /// Calls `body` with each row of an image's patches: its address, channel, and the row and first column of its
  /// pixels, which may lie outside the image.
  private func rows(
    of patches: Matrix, _ image: Int, _ body: (UnsafeMutablePointer<Float>, Int, Int, Int) -> Void
  ) {
    let (area, padding) = (outputSide * outputSide, kernel / 2)
    var row = 0
    for channel in 0..<inputs {
      for dy in 0..<kernel {
        for dx in 0..<kernel {
          let start = patches.row(row) + image * area
          for y in 0..<outputSide {
            body(start + y * outputSide, channel, y * stride + dy - padding, dx - padding)
          }
          row += 1
        }
      }
    }
  }

  /// Returns the columns of a row of patches whose pixels lie inside the image, if the pixel of column 0 is `first`.
  private func inside(_ first: Int) -> Range<Int> {
    guard first < side else { return 0..<0 }
    let end = min((side - 1 - first) / stride + 1, outputSide)
    return min(max(0, (stride - 1 - first) / stride), end)..<end
  }

  /// Extracts the patches of image number `image` of a group.
  private func cut(_ x: UnsafePointer<Float>, _ image: Int, into patches: Matrix) {
    rows(of: patches, image) { to, channel, y, first in
      let columns = y >= 0 && y < side ? inside(first) : 0..<0
      to.update(repeating: 0, count: columns.lowerBound)
      let line = x + (channel * side + y) * side + first
      if stride == 1 {
        (to + columns.lowerBound).update(from: line + columns.lowerBound, count: columns.count)
      } else {
        for column in columns { to[column] = line[column &* stride] }
      }
      (to + columns.upperBound).update(repeating: 0, count: outputSide - columns.upperBound)
    }
  }

  /// Adds each value of the patches to its pixel; the reverse of extracting.
  private func paste(_ patches: Matrix, _ image: Int, adding x: UnsafeMutablePointer<Float>) {
    rows(of: patches, image) { from, channel, y, first in
      guard y >= 0 && y < side else { return }
      let line = x + (channel * side + y) * side + first
      for column in inside(first) { line[column &* stride] += from[column] }
    }
  }
}
