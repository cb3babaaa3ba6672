/// The stem: a linear layer on patches, a preceding class token, added positions.
///
/// n images of P patches with N = channels x patch x patch values each, T = 1 + P tokens, D = width.
package struct PatchEmbedding: Sendable {
  package let projection: Linear
  package let classToken: Slot
  package let positions: Slot
  package let configuration: ViTConfiguration

  /// Adds `patch_embed.proj`, `cls_token` and `pos_embed`, as named in timm.
  package init(_ c: ViTConfiguration, in layout: inout Layout) {
    classToken = layout.add("cls_token", 1, c.width, shape: [1, 1, c.width])
    positions = layout.add("pos_embed", c.tokens, c.width, shape: [1, c.tokens, c.width])
    projection = Linear(
      "patch_embed.proj", inputs: c.patchSize, outputs: c.width,
      weightShape: [c.width, c.images.channels, c.patch, c.patch], in: &layout)
    configuration = c
  }

  /// Extracts the patches of one image, row by row, each in the order channel, row, column.
  ///
  /// `image` is [C, H, W]; `patches` [P, N].
  package func cut(_ image: UnsafePointer<Float>, into patches: Matrix) {
    let c = configuration
    let side = c.images.side / c.patch
    precondition(patches.rows == c.patches && patches.columns == c.patchSize)
    for patch in 0..<c.patches {
      var to = patches.row(patch)
      let corner = image + (patch / side) * c.patch * c.images.side + (patch % side) * c.patch
      for channel in 0..<c.images.channels {
        for row in 0..<c.patch {
          to.update(from: corner + (channel * c.images.side + row) * c.images.side, count: c.patch)
          to += c.patch
        }
      }
    }
  }

  /// x = [class token; patches·Wᵀ + b] + positions              patches [n·P, N], x [n·T, D]
  package func forward(_ patches: Matrix, into x: Matrix, _ parameters: borrowing Storage) {
    let c = configuration
    let (token, positions) = (parameters[classToken], parameters[positions])
    for image in 0..<x.rows / c.tokens {
      let rows = x.rows(image * c.tokens..<(image + 1) * c.tokens)
      Elementwise.copy(positions, to: rows)
      Elementwise.add(token, to: rows.rows(0..<1))
      projection.forward(
        patches.rows(image * c.patches..<(image + 1) * c.patches), adding: rows.rows(1..<c.tokens), parameters
      )
    }
  }

  /// Adds the gradients of the class token, the positions and the projection; images have no gradient.
  package func backward(
    _ dy: Matrix, patches: Matrix, _ parameters: borrowing Storage, _ gradients: borrowing Storage
  ) {
    let c = configuration
    for image in 0..<dy.rows / c.tokens {
      let rows = dy.rows(image * c.tokens..<(image + 1) * c.tokens)
      Elementwise.add(rows, to: gradients[positions])
      Elementwise.add(rows.rows(0..<1), to: gradients[classToken])
      projection.backward(
        rows.rows(1..<c.tokens), input: patches.rows(image * c.patches..<(image + 1) * c.patches), into: nil,
        parameters, gradients)
    }
  }
}
