/// The stem: a linear layer on patches, a preceding class token, added positions.
///
/// n images of P patches with N = channels x patch x patch values each, T = 1 + P tokens, D = width.
package struct PatchEmbedding: Sendable {
  package let projection: Linear
  package let classToken: Slot
  package let positions: Slot
  package private(set) var configuration: ViTConfiguration
  /// The positions of a smaller image's patches; empty for an image of the whole grid.
  private var middle: [Int32] = []

  /// Adds `patch_embed.proj`, `cls_token` and `pos_embed`, as named in timm.
  package init(_ c: ViTConfiguration, in layout: inout Layout) {
    classToken = layout.add("cls_token", 1, c.width, shape: [1, 1, c.width])
    positions = layout.add("pos_embed", c.tokens, c.width, shape: [1, c.tokens, c.width])
    projection = Linear(
      "patch_embed.proj", inputs: c.patchSize, outputs: c.width,
      weightShape: [c.width, c.images.channels, c.patch, c.patch], in: &layout)
    configuration = c
  }

  /// Returns the stem of the same parameters for smaller images, or some patches of each image. The patches of a smaller
  /// image have the positions in the middle of the grid.
  func with(_ c: ViTConfiguration) -> PatchEmbedding {
    var stem = self
    stem.configuration = c
    let (side, all) = (c.images.side / c.patch, configuration.images.side / configuration.patch)
    if side < all {
      let first = (all - side) / 2
      stem.middle = (0..<side * side).map { Int32((first + $0 / side) * all + first + $0 % side) }
    }
    return stem
  }

  /// Extracts the patches of one image, row by row, each in the order channel, row, column; all or, if there are some,
  /// those of the numbers `shown`.
  ///
  /// `image` is [C, H, W]; `patches` [P, N].
  package func cut(
    _ image: UnsafePointer<Float>, into patches: Matrix,
    shown: UnsafeBufferPointer<Int32> = UnsafeBufferPointer(start: nil, count: 0)
  ) {
    let c = configuration
    let side = c.images.side / c.patch
    let count = shown.isEmpty ? c.patches : shown.count
    precondition(patches.rows == count && patches.columns == c.patchSize)
    for index in 0..<count {
      let patch = shown.isEmpty ? index : Int(shown[index])
      var to = patches.row(index)
      let corner = image + (patch / side) * c.patch * c.images.side + (patch % side) * c.patch
      for channel in 0..<c.images.channels {
        for row in 0..<c.patch {
          to.update(from: corner + (channel * c.images.side + row) * c.images.side, count: c.patch)
          to += c.patch
        }
      }
    }
  }

  /// The numbers of the patches that are computed of an image of a chunk, ascending; empty for all.
  package typealias Shown = (_ image: Int) -> UnsafeBufferPointer<Int32>

  /// All patches of every image.
  package static func all(_ image: Int) -> UnsafeBufferPointer<Int32> {
    UnsafeBufferPointer(start: nil, count: 0)
  }

  /// x = [class token; patches·Wᵀ + b] + positions              patches [n·P, N], x [n·T, D]
  package func forward(
    _ patches: Matrix, into x: Matrix, _ parameters: borrowing Storage, shown: Shown = all
  ) {
    let (c, count) = (configuration, configuration.shownPatches)
    let (token, positions) = (parameters[classToken], parameters[positions])
    for image in 0..<x.rows / c.tokens {
      let rows = x.rows(image * c.tokens..<(image + 1) * c.tokens)
      let shown = shown(image)
      if shown.isEmpty, middle.isEmpty {
        Elementwise.copy(positions, to: rows)
      } else {
        Elementwise.copy(positions.rows(0..<1), to: rows.rows(0..<1))
        for index in 0..<count {
          rows.row(index + 1).update(from: positions.row(1 + place(index, shown)), count: c.width)
        }
      }
      Elementwise.add(token, to: rows.rows(0..<1))
      projection.forward(
        patches.rows(image * count..<(image + 1) * count), adding: rows.rows(1..<c.tokens), parameters)
    }
  }

  /// Returns the place in the grid of the patch that is computed as the `index`-th.
  private func place(_ index: Int, _ shown: UnsafeBufferPointer<Int32>) -> Int {
    Int(shown.isEmpty ? middle[index] : shown[index])
  }

  /// Adds the gradients of the class token, the positions and the projection; images have no gradient.
  package func backward(
    _ dy: Matrix, patches: Matrix, _ parameters: borrowing Storage, _ gradients: borrowing Storage,
    shown: Shown = all
  ) {
    let (c, count) = (configuration, configuration.shownPatches)
    for image in 0..<dy.rows / c.tokens {
      let rows = dy.rows(image * c.tokens..<(image + 1) * c.tokens)
      let (shown, positions) = (shown(image), gradients[positions])
      if shown.isEmpty, middle.isEmpty {
        Elementwise.add(rows, to: positions)
      } else {
        Elementwise.add(rows.rows(0..<1), to: positions.rows(0..<1))
        for index in 0..<count {
          Elementwise.add(rows.row(index + 1), to: positions.row(1 + place(index, shown)), count: c.width)
        }
      }
      Elementwise.add(rows.rows(0..<1), to: gradients[classToken])
      projection.backward(
        rows.rows(1..<c.tokens), input: patches.rows(image * count..<(image + 1) * count), into: nil,
        parameters, gradients)
    }
  }
}
