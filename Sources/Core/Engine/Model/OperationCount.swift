/// Floating-point operations of optimiser steps; products alone, since all else is a few per cent.
package enum OperationCount {
  /// One optimiser step on `batch` images in all views: frozen blocks forward, trained ones forward and twice that
  /// backward, frozen ones above them forward and once that backward, every other branch forward; of the last block what is computed.
  package static func step(
    _ stage: Stage, batch: Int, branches: Int, features: Bool = false, lastBlock: LastBlock = .readout
  ) -> Int {
    let operations = stage.model.encoder.operations
    let passes = 3 + branches
    let first = stage.prefixDepth
    let frozen = features ? 0 : operations.blocks[..<first].reduce(0, +)
    let last =
      lastBlock == .whole ? operations.blocks[operations.blocks.count - 1] : operations.lastBlock
    let above = (first..<operations.blocks.count).reduce(0) { sum, block in
      let forward = block == operations.blocks.count - 1 ? last : operations.blocks[block]
      return sum + (stage.trainedBlocks.contains(block) ? passes : passes - 1) * forward
    }
    var image = frozen + above + passes * operations.readout
    // The images have no gradient, so the stem's backward pass is its weights' alone.
    image += stage.trainsStem ? (passes - 1) * operations.stem : features ? 0 : operations.stem
    image += stage.model.objective.operations(passes: passes)
    return stage.model.objective.views * batch * image
  }
}
