/// Computes the features of fixed inputs behind each block of a model, for an analysis of its layers.
///
/// N inputs. After l blocks, h_l [N, F_l] are all features, such as tokens or pixels, and t_l [N, D_l] their pooled
/// part: of a transformer the class token behind the final normalisation, where there is an exit after l blocks behind
/// that of the exit; of a ResNet the mean over the pixels; of other encoders h_l. Batch normalisation uses running
/// statistics. The features of one depth are in memory at a time.
package struct LayerFeatures {
  private let model: Model
  /// The model's encoder, pooling over all pixels; its parameters begin the model's layout.
  private let encoder: any Encoder
  private let workers: Workers
  private let chunk: Int

  package init(_ model: Model, workers: Workers, chunk: Int = 8) {
    (self.model, self.workers, self.chunk) = (model, workers, chunk)
    if model.encoder is ResNet {
      // The grid belongs to the classifier.
      var layout = Layout()
      encoder = model.configuration.pooled(grid: 1).makeEncoder(blocks: model.encoder.blocks, in: &layout)
    } else {
      encoder = model.encoder
    }
  }

  /// Calls `body(l, h, t)` after each block, l = 1 …, for `count` inputs of images or rows. `write(index, place)` writes
  /// an input, on any thread.
  package func forEachDepth(
    _ count: Int, _ parameters: borrowing Storage, _ write: (Int, UnsafeMutablePointer<Float>) -> Void,
    _ body: (_ depth: Int, _ features: Matrix, _ pooled: Matrix) -> Void
  ) {
    let depths = 1...encoder.blocks.count
    let most = depths.map(encoder.featureSize).max() ?? 0
    let place = Storage(0..<count * most)
    let all = place.all.reshaped(count, most)
    let runners = (0..<workers.count).map { _ in encoder.makeRunner(chunk: chunk) }
    for depth in depths {
      let pooled = Storage(0..<count * encoder.pooledWidth(behind: depth))
      let t = pooled.all.reshaped(count, encoder.pooledWidth(behind: depth))
      let (h, below) = (
        all.columns(0..<encoder.featureSize(behind: depth)),
        depth == 1 ? nil : all.columns(0..<encoder.featureSize(behind: depth - 1))
      )
      workers.run((count + chunk - 1) / chunk) { task, worker in
        let rows = task * chunk..<min((task + 1) * chunk, count)
        let runner = runners[worker]
        // The features of a chunk replace those of the block below, which only this task reads.
        if let below {
          Elementwise.copy(below.rows(rows), to: runner.features(rows.count, behind: depth - 1))
        } else {
          runner.begin(rows.count, parameters) { write(rows.lowerBound + $0, $1) }
        }
        runner.advance(rows.count, from: depth - 1, to: depth, parameters)
        Elementwise.copy(runner.features(rows.count, behind: depth), to: h.rows(rows))
        runner.pool(rows.count, behind: depth, into: t.rows(rows))
      }
      normalise(t, behind: depth, parameters)
      body(depth, h, t)
    }
  }

  /// Calls `body(l, h, t)` after each block, l = 1 …, for nodes of a graph, encoded on all of it.
  ///
  /// - Parameter features: the features of all nodes of the graph.
  package func forEachDepth(
    _ nodes: [Int], of graph: Graph, _ features: any NodeValues, _ parameters: borrowing Storage,
    _ body: (_ depth: Int, _ features: Matrix, _ pooled: Matrix) -> Void
  ) {
    guard let encoder = encoder as? any NodeEncoder else {
      preconditionFailure("\(type(of: encoder)) on a graph")
    }
    encoder.forEachDepth(features, on: graph, parameters, workers) { depth, y in
      let rows = Storage(0..<nodes.count * y.columns)
      let h = rows.all.reshaped(nodes.count, y.columns)
      for (row, node) in nodes.enumerated() { h.row(row).update(from: y.row(node), count: y.columns) }
      body(depth, h, h)
    }
  }

  /// Replaces the class tokens t [N, D] after `depth` blocks of a transformer with those behind the normalisation.
  private func normalise(_ t: Matrix, behind depth: Int, _ parameters: borrowing Storage) {
    let readout = model.exits.first { $0.depth == depth }?.readout ?? model.encoder.readout
    guard case .norm = readout else { return }
    var layout = Layout(alignment: 16)
    let trace = readout.tracePlan(rows: t.rows, width: t.columns, in: &layout)
    let work = Storage(layout)
    readout.forward(t, into: t, trace, rows: 0..<t.rows, work, parameters)
  }
}
