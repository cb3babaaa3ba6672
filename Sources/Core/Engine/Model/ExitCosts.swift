/// The multiply-accumulates of an image's forward pass through a model with exits. Only matrix products count.
///
/// S exits, the last at the end of the model. A pass that stops at exit s costs the sum of b_t + e_t for t = 1 … s, and
/// a backward pass two forward passes.
package struct ExitCosts: Sendable, Hashable {
  /// b_s: the blocks between exit s and the one before; of the first exit, the stem too.
  package let blocks: [Double]
  /// e_s: the readout and the classifier of exit s.
  package let exits: [Double]
  /// The cost of a pass that asks only the last exit.
  package let full: Double

  /// Creates costs; both lists have one entry for each exit.
  package init(blocks: [Double], exits: [Double]) {
    precondition(
      !blocks.isEmpty && blocks.count == exits.count, "\(blocks.count) blocks, \(exits.count) exits")
    (self.blocks, self.exits) = (blocks, exits)
    full = blocks.reduce(0, +) + exits[exits.count - 1]
  }

  /// Counts the passes of a model that classifies.
  ///
  /// - Parameter lastBlock: the part that counts of the block below each exit. ``LastBlock/readout`` counts the
  ///   computation of ``EarlyExits``: for a transformer, the class token's part of that block, and the whole block only
  ///   where an image goes on. ``LastBlock/whole`` counts every block once and completely.
  package init(_ model: Model, lastBlock: LastBlock = .whole) {
    precondition(model.objective.classifier != nil, "a model that does not classify")
    let operations = model.encoder.operations
    let part = lastBlock == .whole ? nil : model.encoder.partialBlock
    var (blocks, exits, computed): ([Double], [Double], Int) = ([], [], 0)
    func below(_ depth: Int, from start: Int) -> Int {
      let end = part == nil ? depth : depth - 1
      return operations.blocks[start..<end].reduce(0, +) + (part ?? 0)
    }
    for exit in model.allExits {
      blocks.append(Double(below(exit.depth, from: computed) + (exits.isEmpty ? operations.stem : 0)) / 2)
      exits.append(Double(exit.readout.operations + exit.classifier.operations) / 2)
      computed = part == nil ? exit.depth : exit.depth - 1
    }
    (self.blocks, self.exits) = (blocks, exits)
    full = Double(operations.stem + below(model.depth, from: 0)) / 2 + exits[exits.count - 1]
  }

  /// Returns the cost of a pass that stops at an exit, counted from 0.
  package func cost(stoppingAt exit: Int) -> Double {
    blocks[...exit].reduce(0, +) + exits[...exit].reduce(0, +)
  }

  /// Returns the cost of layer-wise training in which stage s makes `passes[s]` passes over an image, and the selection
  /// at its end `selecting[s]`, if there is a further stage; without a cascade, no selection.
  package func training(passes: [Int], selecting images: [Int] = []) -> Double {
    precondition(passes.count <= blocks.count && images.count <= passes.count, "\(passes.count) stages")
    var (total, below) = (0.0, 0.0)
    for stage in passes.indices {
      let own = blocks[stage] + exits[stage]
      total += Double(passes[stage]) * (below + 3 * own)
      if stage < images.count && stage + 1 < passes.count { total += Double(images[stage]) * (below + own) }
      below += blocks[stage]
    }
    return total
  }

  /// Returns the cost of end-to-end training in which `passes` passes are made over an image.
  package func endToEnd(passes: Int) -> Double {
    Double(passes) * 3 * (blocks.reduce(0, +) + exits[exits.count - 1])
  }

  /// Returns the mean cost of an image's inference if `leaving[s]` images leave at exit s; 0 for no images.
  package func inference(leaving: [Int]) -> Double {
    precondition(leaving.count <= blocks.count, "\(leaving.count) exits of \(blocks.count)")
    let total = leaving.enumerated().reduce(0) { $0 + Double($1.element) * cost(stoppingAt: $1.offset) }
    return total / Double(max(leaving.reduce(0, +), 1))
  }
}
