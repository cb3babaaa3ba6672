/// The frozen part of a stage's encoder: stem and blocks below those that train.
///
/// It treats images independently and keeps nothing, so a chunk of images goes through it in the memory of
/// one block. n images, T tokens, D = width.
struct FrozenPrefix {
  let encoder: Encoder
  /// How many of the encoder's blocks are frozen.
  let depth: Int

  /// x [n·T, D] from the images' patches [n·P, N].
  func forward(
    _ patches: Matrix, into x: Matrix, _ trace: EncoderBlock.Trace, _ scratch: EncoderBlock.Scratch,
    _ parameters: borrowing Storage
  ) {
    encoder.stem.forward(patches, into: x, parameters)
    for block in encoder.blocks[..<depth] { block.forward(x, trace, scratch, parameters) }
  }
}

extension WorkerMemory {
  /// The patches of a chunk of images, cut from what `write(row, pixels)` gives for each.
  func cut(
    _ images: Range<Int>, into patches: Matrix, _ stem: PatchEmbedding,
    _ write: (Int, UnsafeMutablePointer<Float>) -> Void
  ) {
    let count = stem.configuration.patches
    for (index, row) in images.enumerated() {
      write(row, image.start)
      stem.cut(image.start, into: patches.rows(index * count..<(index + 1) * count))
    }
  }
}
