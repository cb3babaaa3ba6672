extension GraphAttention {
  /// Adds the gradients of the parameters to the shards, if they have room for them, and computes dx [n, F] if it is
  /// needed. du [m, D] is overwritten. `neighbourhood` has the nodes of the forward pass, and x is its input; `columns` is
  /// for sparse inputs, which are expanded without it.
  package func backward(
    _ du: Matrix, input x: Inputs, into dx: Matrix?, _ neighbourhood: Neighbourhood, _ trace: Trace,
    _ gradients: Gradients, _ parameters: borrowing Storage, into shards: [StorageBox], _ team: Team,
    columns: WeightColumns? = nil
  ) {
    precondition(du.rows == trace.outputs && du.columns == width, "a gradient of \(du.rows) x \(du.columns)")
    team.eachChunk(of: trace.outputs) { rows, scratch in
      Self.eluBackward(du.rows(rows), output: trace.output.rows(rows))
      for row in rows { measure(row, neighbourhood.sources[row], du, trace, gradients, scratch) }
    }
    team.eachChunk(of: trace.nodes) { rows, scratch in
      for row in rows {
        collect(row, neighbourhood.takers[row], du, trace, gradients, parameters, scratch)
      }
    }
    let chunks = (trace.nodes + team.chunk - 1) / team.chunk
    let columns = x.isSparse ? columns : nil
    team.workers.run(shards.count) { shard, worker in
      let isTrained = !shards[shard].storage.isEmpty
      if isTrained { columns?.clear(shard: shard) }
      for chunk in stride(from: shard, to: chunks, by: shards.count) {
        let rows = chunk * team.chunk..<min((chunk + 1) * team.chunk, trace.nodes)
        if isTrained {
          addGradients(du, rows, trace, gradients, shards[shard].storage)
          if let columns {
            for row in rows {
              columns.addGradients(
                x, row, dh: gradients.features.row(row), dOutput: row < du.rows ? du.row(row) : nil,
                shard: shard)
            }
          } else {
            addGradients(
              du, input: x.rows(rows, gatheredIn: team.scratch[worker].inputs), rows, gradients, parameters,
              shards[shard].storage)
          }
        }
        if let dx { backpropagate(du, into: dx, rows, gradients, parameters) }
      }
      if isTrained { columns?.finish(self, shard: shard, shards[shard].storage) }
    }
  }

  /// dy = dy where y > 0, else dy e^x = dy (y + 1), in place.
  private static func eluBackward(_ dy: Matrix, output y: Matrix) {
    for r in 0..<y.rows {
      let (output, row) = (y.row(r), dy.row(r))
      Elementwise.sweep(y.columns) {
        let (value, gradient) = (Vector.load(output + $0), Vector.load(row + $0))
        gradient.replacing(with: gradient * (value + 1), where: value .<= 0).store(row + $0)
      } scalar: {
        if output[$0] <= 0 { row[$0] *= output[$0] + 1 }
      }
    }
  }

  /// The scores of an edge's nodes and the logarithm of the target's sum [K].
  private typealias EdgeScores = (
    source: UnsafeMutablePointer<Float>, target: UnsafeMutablePointer<Float>,
    logSum: UnsafeMutablePointer<Float>
  )

  /// Writes alpha_ij of the edges between a node and those in the scratch to the scratch's weights, and the slopes of
  /// LeakyReLU. `scores(edge)` gives the scores and the logarithm of the sum for an edge.
  @inline(__always)
  private func weigh(
    _ count: Int, _ scratch: Scratch, _ scores: (Int) -> EdgeScores
  ) {
    for edge in 0..<count {
      let (source, target, logSum) = scores(edge)
      let (weights, slopes) = (scratch.weights.row(edge), scratch.slopes.row(edge))
      for k in 0..<heads {
        let sum = source[k] + target[k]
        slopes[k] = sum > 0 ? 1 : slope
        weights[k] = slopes[k] * sum - logSum[k]
      }
    }
    Self.exponentials(scratch.weights.start, count: count * heads)
  }

  /// Computes the mean Σ_j alpha_ij dalpha_ij and the gradient Σ_j de_ij of the target score for an output, with
  /// dalpha_ij = h_j · do_i.
  private func measure(
    _ row: Int, _ sources: UnsafeBufferPointer<Int32>, _ d: Matrix, _ trace: Trace, _ gradients: Gradients,
    _ scratch: Scratch
  ) {
    let (size, own) = (width / heads, d.row(row))
    let (mean, steep, slopes) = (scratch.sums.row(0), scratch.sums.row(1), scratch.sums.row(2))
    for sum in [mean, steep, slopes] { sum.update(repeating: 0, count: heads) }
    let (target, logSum) = (trace.targetScores.row(row), trace.logSums.row(row))
    eachEdges(sources, and: row, scratch) { count in
      weigh(count, scratch) { (trace.sourceScores.row(Int(scratch.nodes[$0])), target, logSum) }
      for edge in 0..<count {
        let h = trace.features.row(Int(scratch.nodes[edge]))
        for k in 0..<heads {
          let weight = scratch.weights[edge, k]
          let change = weight * Elementwise.dot(h + k * size, own + k * size, count: size)
          mean[k] += change
          steep[k] += scratch.slopes[edge, k] * change
          slopes[k] += scratch.slopes[edge, k] * weight
        }
      }
    }
    for k in 0..<heads {
      gradients.means[row, k] = mean[k]
      gradients.targetScores[row, k] = steep[k] - mean[k] * slopes[k]
    }
  }

  /// Computes dh_j = Σ_i (alpha_ij do_i + att_src de_ij) + att_dst Σ_i de_ji of a node from the outputs that take from
  /// it, and the gradient Σ_i de_ij of its source score.
  private func collect(
    _ row: Int, _ takers: UnsafeBufferPointer<Int32>, _ d: Matrix, _ trace: Trace, _ gradients: Gradients,
    _ parameters: borrowing Storage, _ scratch: Scratch
  ) {
    let (size, h, dh) = (width / heads, trace.features.row(row), gradients.features.row(row))
    let (total, isOutput) = (gradients.sourceScores.row(row), row < trace.outputs)
    dh.update(repeating: 0, count: width)
    total.update(repeating: 0, count: heads)
    var count = takers.count
    while count > 0 && takers[count - 1] >= trace.outputs { count -= 1 }
    let scores = trace.sourceScores.row(row)
    eachEdges(UnsafeBufferPointer(rebasing: takers[..<count]), and: isOutput ? row : nil, scratch) { count in
      weigh(count, scratch) {
        let taker = Int(scratch.nodes[$0])
        return (scores, trace.targetScores.row(taker), trace.logSums.row(taker))
      }
      for edge in 0..<count {
        let taker = Int(scratch.nodes[edge])
        let (gradient, mean) = (d.row(taker), gradients.means.row(taker))
        for k in 0..<heads {
          let change = Elementwise.dot(h + k * size, gradient + k * size, count: size) - mean[k]
          total[k] += scratch.slopes[edge, k] * scratch.weights[edge, k] * change
        }
      }
      addWeighted(d, count, to: dh, scratch)
    }
    for k in 0..<heads {
      Elementwise.add(parameters[source].row(k), to: dh + k * size, count: size, scale: total[k])
      guard isOutput else { continue }
      Elementwise.add(
        parameters[target].row(k), to: dh + k * size, count: size, scale: gradients.targetScores[row, k])
    }
  }

  /// Adds the gradients of the attention's vectors and of the bias from a chunk of nodes.
  private func addGradients(
    _ d: Matrix, _ rows: Range<Int>, _ trace: Trace, _ gradients: Gradients, _ shard: borrowing Storage
  ) {
    let (size, vectors) = (width / heads, (source: shard[source], target: shard[target]))
    for row in rows {
      for k in 0..<heads {
        let h = trace.features.row(row) + k * size
        Elementwise.add(h, to: vectors.source.row(k), count: size, scale: gradients.sourceScores[row, k])
        guard row < trace.outputs else { continue }
        Elementwise.add(h, to: vectors.target.row(k), count: size, scale: gradients.targetScores[row, k])
      }
    }
    Elementwise.addColumnSums(of: d.rows(rows.clamped(to: 0..<d.rows)), to: shard[bias])
  }

  /// dW += dhᵀ·x,  dW_skip += doᵀ·x                                                            x: those rows' inputs
  private func addGradients(
    _ d: Matrix, input x: Matrix, _ rows: Range<Int>, _ gradients: Gradients, _ parameters: borrowing Storage,
    _ shard: borrowing Storage
  ) {
    let outputs = rows.clamped(to: 0..<d.rows)
    projection.backward(gradients.features.rows(rows), input: x, into: nil, parameters, shard)
    skip?.backward(d.rows(outputs), input: x.rows(0..<outputs.count), into: nil, parameters, shard)
  }

  /// dx = dh·W + do·W_skip
  private func backpropagate(
    _ d: Matrix, into dx: Matrix, _ rows: Range<Int>, _ gradients: Gradients, _ parameters: borrowing Storage
  ) {
    let outputs = rows.clamped(to: 0..<d.rows)
    Products.product(gradients.features.rows(rows), parameters[projection.weight], into: dx.rows(rows))
    guard let skip, !outputs.isEmpty else { return }
    Products.product(d.rows(outputs), parameters[skip.weight], into: dx.rows(outputs), keep: 1)
  }
}
