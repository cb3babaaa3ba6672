/// The multiply-accumulates of a classifier with exits for an image, counted in matrix products and convolutions.
///
/// S exits: the blocks between two of them with the stem in the first are b_s, readout and classifier of an exit e_s. A
/// backward pass counts as two forward passes.
package struct ExitCosts: Sendable, Hashable {
  /// b_1 … b_S and e_1 … e_S.
  package let blocks, exits: [Double]

  /// Creates costs; both lists have one entry for each exit.
  package init(blocks: [Double], exits: [Double]) {
    precondition(
      !blocks.isEmpty && blocks.count == exits.count, "\(blocks.count) blocks, \(exits.count) exits")
    (self.blocks, self.exits) = (blocks, exits)
  }

  /// Returns the multiply-accumulates of layer-wise training in which stage s trains `epochs[s]` times on
  /// `remaining[s]` images, which a cascade selects before each stage after the first; `isSelecting` is false without a
  /// cascade.
  package func training(remaining: [Int], epochs: [Int], isSelecting: Bool = true) -> Double {
    precondition(
      remaining.count == epochs.count && remaining.count <= blocks.count, "\(remaining.count) stages")
    var (total, below) = (0.0, 0.0)
    for stage in remaining.indices {
      let own = blocks[stage] + exits[stage]
      total += Double(remaining[stage]) * Double(epochs[stage]) * (below + 3 * own)
      if isSelecting && stage + 1 < remaining.count { total += Double(remaining[stage]) * (below + own) }
      below += blocks[stage]
    }
    return total
  }

  /// Returns the multiply-accumulates of end-to-end training on `images` images in `epochs` epochs.
  package func endToEnd(images: Int, epochs: Int) -> Double {
    Double(images) * Double(epochs) * 3 * (blocks.reduce(0, +) + exits[exits.count - 1])
  }

  /// Returns the mean multiply-accumulates of an image's inference if `leaving[s]` images leave at exit s; the exits
  /// that an image passes are computed, too. 0 for no images.
  package func inference(leaving: [Int]) -> Double {
    precondition(leaving.count <= blocks.count, "\(leaving.count) exits of \(blocks.count)")
    var (total, passed) = (0.0, 0.0)
    for exit in leaving.indices {
      passed += blocks[exit] + exits[exit]
      total += Double(leaving[exit]) * passed
    }
    return total / Double(max(leaving.reduce(0, +), 1))
  }

  /// The multiply-accumulates of an image through all blocks and the last exit only.
  package var whole: Double { blocks.reduce(0, +) + exits[exits.count - 1] }
}

extension Model {
  /// The costs of the model's exits, the last one included; nil if its objective does not classify.
  package var exitCosts: ExitCosts? {
    guard let last = Exit(last: self) else { return nil }
    let operations = encoder.operations
    var (blocks, from): ([Double], Int) = ([], 0)
    let all = exits + [last]
    for exit in all {
      let sum = operations.blocks[from..<exit.depth].reduce(from == 0 ? operations.stem : 0, +)
      blocks.append(Double(sum) / 2)
      from = exit.depth
    }
    return ExitCosts(
      blocks: blocks, exits: all.map { Double(operations.readout + $0.classifier.operations) / 2 })
  }
}
