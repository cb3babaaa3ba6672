extension GraphAttention {
  /// The weights of a block as columns, for sparse inputs: a stored value of a node then adds a multiple of one column,
  /// which takes as many operations as there are stored values. Bags of words have a hundredth of the values of a matrix.
  ///
  /// F inputs, D = width; the columns of W and W_skip, and of their gradients in each shard, are [F, D].
  package struct WeightColumns {
    /// W, and W_skip if the block has a residual connection.
    private let weights: [Matrix]
    /// Their gradients, for each shard.
    private let gradients: [[Matrix]]

    /// The slots of the columns.
    package struct Plan: Sendable {
      private let weights: [Slot]
      private let gradients: [[Slot]]

      /// - Parameter shards: the number of shards of the gradients; 0 for a forward pass alone.
      package init(_ block: GraphAttention, shards: Int, in layout: inout Layout) {
        var slots: [[Slot]] = []
        for _ in 0...shards {
          var own: [Slot] = []
          for _ in block.weights { own.append(layout.add("weight columns", block.inputs, block.width)) }
          slots.append(own)
        }
        (weights, gradients) = (slots[0], Array(slots.dropFirst()))
      }

      package func columns(_ storage: borrowing Storage) -> WeightColumns {
        var (weights, gradients): ([Matrix], [[Matrix]]) = ([], [])
        for slot in self.weights { weights.append(storage[slot]) }
        for slots in self.gradients {
          var shard: [Matrix] = []
          for slot in slots { shard.append(storage[slot]) }
          gradients.append(shard)
        }
        return WeightColumns(weights: weights, gradients: gradients)
      }
    }

    /// The columns that a task copies.
    private static let part = 64

    /// Copies the weights of a block.
    func transpose(_ block: GraphAttention, _ parameters: borrowing Storage, _ workers: Workers) {
      let inputs = block.inputs
      workers.run((inputs + Self.part - 1) / Self.part) { task, _ in
        let columns = task * Self.part..<min((task + 1) * Self.part, inputs)
        for (slot, copy) in zip(block.weights, weights) {
          let weight = parameters[slot]
          for row in 0..<weight.rows {
            let from = weight.row(row)
            for column in columns { copy[column, row] = from[column] }
          }
        }
      }
    }

    /// Computes h of a node, and adds x·W_skipᵀ to its output.
    func project(_ x: Inputs, _ row: Int, _ trace: Trace) {
      let (h, width) = (trace.features.row(row), trace.features.columns)
      h.update(repeating: 0, count: width)
      x.forEach(of: row) { column, value in
        Elementwise.add(weights[0].row(column), to: h, count: width, scale: value)
      }
      guard weights.count > 1, row < trace.outputs else { return }
      let u = trace.output.row(row)
      x.forEach(of: row) { column, value in
        Elementwise.add(weights[1].row(column), to: u, count: width, scale: value)
      }
    }

    /// Sets the gradients of a shard to 0.
    func clear(shard: Int) { for gradient in gradients[shard] { Elementwise.fill(gradient, 0) } }

    /// Adds the gradients of a node from dh and, if it has an output, do.
    func addGradients(
      _ x: Inputs, _ row: Int, dh: UnsafePointer<Float>, dOutput: UnsafePointer<Float>?, shard: Int
    ) {
      let (columns, width) = (gradients[shard], weights[0].columns)
      x.forEach(of: row) { column, value in
        Elementwise.add(dh, to: columns[0].row(column), count: width, scale: value)
      }
      guard columns.count > 1, let dOutput else { return }
      x.forEach(of: row) { column, value in
        Elementwise.add(dOutput, to: columns[1].row(column), count: width, scale: value)
      }
    }

    /// Adds the gradients of a shard's columns to those of the block's weights.
    func finish(_ block: GraphAttention, shard: Int, _ storage: borrowing Storage) {
      for (slot, columns) in zip(block.weights, gradients[shard]) {
        let gradient = storage[slot]
        for row in 0..<gradient.rows {
          let to = gradient.row(row)
          for column in 0..<gradient.columns { to[column] += columns[column, row] }
        }
      }
    }
  }

  /// The slots of W and, if there is one, W_skip.
  fileprivate var weights: [Slot] { [projection.weight] + (skip.map { [$0.weight] } ?? []) }
}
