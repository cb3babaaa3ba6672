/// The weights of the terms of ``GraphInfomaxLoss``.
package struct GraphInfomaxConfiguration: Sendable, Hashable, Codable {
  /// λ1, λ2 and λ3, at least 0. Defaults: those of the authors for ogbn-products.
  package var prediction: Float
  package var variance: Float
  package var covariance: Float
  /// The number of hops of the mean propagation that makes v of u, at least 1.
  package var hops: Int

  package init(prediction: Float = 25, variance: Float = 10, covariance: Float = 1, hops: Int = 1) {
    precondition(hops >= 1, "\(hops) hops")
    (self.prediction, self.variance, self.covariance) = (prediction, variance, covariance)
    self.hops = hops
  }
}

extension GraphInfomaxConfiguration {
  /// The terms with their weights.
  package func weighted(_ terms: GraphInfomaxLoss.Terms) -> [(name: String, value: Double)] {
    [
      ("prediction", Double(prediction) * terms.prediction), ("variance", Double(variance) * terms.variance),
      ("covariance", Double(covariance) * terms.covariance),
    ]
  }
}

/// The loss of LRGI (arXiv 2309.01503): the features u of a node predict those of its neighbourhood, v, and the other
/// way round, without negative pairs; the spread of both is kept as in VICReg (arXiv 2105.04906).
///
///     λ1 [mse(f_loc(v), u) + mse(f_glob(u), v)] + λ2 [var(u) + var(v)] + λ3 [cov(u) + cov(v)]
///
/// mse is the mean over all B·D values. With C = Zcᵀ·Zc / (B - 1) of the centred columns Zc of z, var(z) is
/// Σ (C_ii - 1)² / D and cov(z) is Σ C_ij² / D over i ≠ j. Nothing is detached. B nodes, D = width of u and v.
package struct GraphInfomaxLoss: Sendable {
  package let configuration: GraphInfomaxConfiguration
  private let local, global: Predictor
  private let spread: Spread
  private let predictions: Predictor.Plan

  /// A predictor f: Linear(D, 8 D), ReLU, Linear(8 D, D).
  package struct Predictor: Sendable {
    package let first, second: Linear

    /// Adds `name.0` and `name.2`, as in nn.Sequential, as a part of their own.
    package init(_ name: String, width: Int, in layout: inout Layout) {
      layout.part = name
      first = Linear("\(name).0", inputs: width, outputs: 8 * width, in: &layout)
      second = Linear("\(name).2", inputs: 8 * width, outputs: width, in: &layout)
    }

    package var operations: Int { 2 * (first.weight.count + second.weight.count) }
    fileprivate var slots: [Slot] {
      [first, second].flatMap { [$0.weight] + ($0.bias.map { [$0] } ?? []) }
    }
  }

  /// The unweighted terms.
  package struct Terms: Sendable, Hashable {
    package let prediction, variance, covariance: Double
  }

  /// Adds the work space for batches of B nodes to a layout.
  package init(
    _ configuration: GraphInfomaxConfiguration, local: Predictor, global: Predictor, in layout: inout Layout
  ) {
    self.configuration = configuration
    (self.local, self.global) = (local, global)
    spread = Spread(width: local.first.weight.columns, in: &layout)
    predictions = Predictor.Plan(local, in: &layout)
  }

  /// Returns the terms, writes du and dv, and adds the gradients of the predictors.           u, v, du, dv [B, D]
  package func loss(
    _ u: Matrix, _ v: Matrix, into du: Matrix, _ dv: Matrix, _ parameters: borrowing Storage,
    _ gradients: borrowing Storage, _ work: borrowing Storage, _ workers: Workers
  ) -> Terms {
    precondition(u.rows >= 2, "a spread of \(u.rows) nodes")
    Elementwise.fill(du, 0)
    Elementwise.fill(dv, 0)
    let weight = configuration.prediction
    let (a, b) = (
      predictions.loss(local, v, u, adding: dv, du, weight, parameters, gradients, work, workers),
      predictions.loss(global, u, v, adding: du, dv, weight, parameters, gradients, work, workers)
    )
    let (c, d) = (
      spread.loss(u, adding: du, configuration, work, workers),
      spread.loss(v, adding: dv, configuration, work, workers)
    )
    return Terms(
      prediction: a + b, variance: c.variance + d.variance, covariance: c.covariance + d.covariance)
  }

  /// The number of shards over which a sum of the batch is distributed, and of rows that a task computes at a time. The
  /// result does not depend on the number of workers.
  fileprivate static let (shards, chunk) = (4, 64)

  /// Calls `body` with the shard, the worker and each range of rows.
  fileprivate static func eachChunk(
    of rows: Int, _ workers: Workers, _ body: (_ shard: Int, _ rows: Range<Int>) -> Void
  ) {
    workers.run(shards) { shard, _ in
      for first in stride(from: shard * chunk, to: rows, by: shards * chunk) {
        body(shard, first..<min(first + chunk, rows))
      }
    }
  }
}

extension GraphInfomaxLoss.Predictor {
  /// The work space of a prediction. A chunk of rows goes forward and back at once, because the gradient of an element
  /// of a prediction depends on that element alone; so the wide hidden layer exists only for a chunk.
  fileprivate struct Plan: Sendable {
    private let shards: [Shard]

    struct Shard: Sendable {
      let hidden, hiddenGradients, output: Slot
      /// The gradients of the predictor's weights and biases, as rows of `slots`.
      let gradients: [Slot]
      let loss: DoubleSlot
    }

    init(_ predictor: GraphInfomaxLoss.Predictor, in layout: inout Layout) {
      let (chunk, width) = (GraphInfomaxLoss.chunk, predictor.first.weight.columns)
      var shards: [Shard] = []
      for _ in 0..<GraphInfomaxLoss.shards {
        let hidden = layout.add("hidden", chunk, 8 * width)
        let hiddenGradients = layout.add("hidden gradients", chunk, 8 * width)
        let output = layout.add("predictions", chunk, width)
        var gradients: [Slot] = []
        for slot in predictor.slots {
          gradients.append(layout.add("predictor gradients", slot.rows, slot.columns))
        }
        shards.append(
          Shard(
            hidden: hidden, hiddenGradients: hiddenGradients, output: output, gradients: gradients,
            loss: layout.addDoubles("loss", 1, 1)))
      }
      self.shards = shards
    }

    /// Returns mse(f(x), y), and adds the gradients of weight · mse.                         x, y, dx, dy [B, D]
    func loss(
      _ f: GraphInfomaxLoss.Predictor, _ x: Matrix, _ y: Matrix, adding dx: Matrix, _ dy: Matrix,
      _ weight: Float, _ parameters: borrowing Storage, _ gradients: borrowing Storage,
      _ work: borrowing Storage, _ workers: Workers
    ) -> Double {
      for shard in shards {
        for slot in shard.gradients { Elementwise.fill(work[slot], 0) }
        work[shard.loss][0, 0] = 0
      }
      let scale = 2 * weight / Float(x.count)
      GraphInfomaxLoss.eachChunk(of: x.rows, workers) { index, rows in
        let (shard, count) = (shards[index], 0..<rows.count)
        let (hidden, dh) = (work[shard.hidden].rows(count), work[shard.hiddenGradients].rows(count))
        let residual = work[shard.output].rows(count)
        f.first.forward(x.rows(rows), into: hidden, parameters)
        Elementwise.relu(hidden)
        f.second.forward(hidden, into: residual, parameters)
        Elementwise.add(y.rows(rows), to: residual, scale: -1)
        for row in count {
          let r = residual.row(row)
          work[shard.loss][0, 0] += Double(Elementwise.dot(r, r, count: residual.columns))
          for c in 0..<residual.columns { r[c] *= scale }
        }
        Elementwise.add(residual, to: dy.rows(rows), scale: -1)
        f.back(residual, input: x.rows(rows), hidden, dh, adding: dx.rows(rows), parameters, shard, work)
      }
      var total = 0.0
      for shard in shards {
        total += work[shard.loss][0, 0]
        for (slot, sum) in zip(f.slots, shard.gradients) {
          Elementwise.add(work[sum], to: gradients[slot])
        }
      }
      return total / Double(x.count)
    }
  }

  /// Adds dx and, in the shard, the gradients of the parameters, from the gradient d of the output for a chunk.
  private func back(
    _ d: Matrix, input x: Matrix, _ hidden: Matrix, _ dh: Matrix, adding dx: Matrix,
    _ parameters: borrowing Storage, _ shard: Plan.Shard, _ work: borrowing Storage
  ) {
    Products.product(d, parameters[second.weight], into: dh)
    Elementwise.reluBackward(dh, output: hidden)
    Products.product(dh, parameters[first.weight], into: dx, keep: 1)
    let gradients = shard.gradients
    Products.product(dh.transposed, x, into: work[gradients[0]], keep: 1)
    Elementwise.addColumnSums(of: dh, to: work[gradients[1]])
    Products.product(d.transposed, hidden, into: work[gradients[2]], keep: 1)
    Elementwise.addColumnSums(of: d, to: work[gradients[3]])
  }
}

/// The terms var(z) and cov(z) and their gradients.
private struct Spread: Sendable {
  /// The column sums and Zcᵀ·Zc of each shard, and the centred rows of its chunk.
  private let shards: [(sums: Slot, products: Slot, centred: Slot)]

  init(width: Int, in layout: inout Layout) {
    var shards: [(sums: Slot, products: Slot, centred: Slot)] = []
    for _ in 0..<GraphInfomaxLoss.shards {
      let (sums, products) = (layout.add("sums", width), layout.add("products", width, width))
      shards.append((sums, products, layout.add("centred", GraphInfomaxLoss.chunk, width)))
    }
    self.shards = shards
  }

  /// Returns var(z) and cov(z), and adds the gradient of λ2 var(z) + λ3 cov(z): 4 / (D (B - 1)) Zc·M with
  /// M_ii = λ2 (C_ii - 1) and M_ij = λ3 C_ij.                                                       z, dz [B, D]
  func loss(
    _ z: Matrix, adding dz: Matrix, _ weights: GraphInfomaxConfiguration, _ work: borrowing Storage,
    _ workers: Workers
  ) -> (variance: Double, covariance: Double) {
    for shard in shards {
      Elementwise.fill(work[shard.sums], 0)
      Elementwise.fill(work[shard.products], 0)
    }
    GraphInfomaxLoss.eachChunk(of: z.rows, workers) { shard, rows in
      Elementwise.addColumnSums(of: z.rows(rows), to: work[shards[shard].sums])
    }
    let (mean, c) = (work[shards[0].sums], work[shards[0].products])
    for shard in shards.dropFirst() { Elementwise.add(work[shard.sums], to: mean) }
    for column in 0..<mean.columns { mean[0, column] /= Float(z.rows) }
    func centred(_ rows: Range<Int>, _ shard: Int) -> Matrix {
      let centred = work[shards[shard].centred].rows(0..<rows.count)
      Elementwise.copy(z.rows(rows), to: centred)
      for row in 0..<rows.count {
        Elementwise.add(mean.start, to: centred.row(row), count: mean.columns, scale: -1)
      }
      return centred
    }
    GraphInfomaxLoss.eachChunk(of: z.rows, workers) { shard, rows in
      let centred = centred(rows, shard)
      Products.product(centred.transposed, centred, into: work[shards[shard].products], keep: 1)
    }
    for shard in shards.dropFirst() { Elementwise.add(work[shard.products], to: c) }
    let terms = Self.terms(c, rows: z.rows, weights)
    let scale = 4 / (Float(z.columns) * Float(z.rows - 1))
    GraphInfomaxLoss.eachChunk(of: z.rows, workers) { shard, rows in
      Products.product(centred(rows, shard), c, into: dz.rows(rows), scale: scale, keep: 1)
    }
    return terms
  }

  /// Returns the terms from Zcᵀ·Zc, which is replaced with M.
  private static func terms(
    _ c: Matrix, rows: Int, _ weights: GraphInfomaxConfiguration
  ) -> (variance: Double, covariance: Double) {
    var (variance, covariance) = (0.0, 0.0)
    for i in 0..<c.rows {
      for j in 0..<c.columns {
        let value = c[i, j] / Float(rows - 1)
        if i == j {
          variance += Double((value - 1) * (value - 1))
          c[i, j] = weights.variance * (value - 1)
        } else {
          covariance += Double(value * value)
          c[i, j] = weights.covariance * value
        }
      }
    }
    return (variance / Double(c.rows), covariance / Double(c.rows))
  }
}

/// The objective of LRGI: view 0 of a node is its output u, view 1 the mean v of its neighbourhood's outputs.
package struct GraphInfomaxObjective: Objective {
  package let views = 2
  package let needsLabels = false
  package let branches: [Branch] = []
  package let configuration: GraphInfomaxConfiguration
  package let local, global: GraphInfomaxLoss.Predictor

  init(_ configuration: GraphInfomaxConfiguration, width: Int, in layout: inout Layout) {
    self.configuration = configuration
    local = GraphInfomaxLoss.Predictor("local", width: width, in: &layout)
    global = GraphInfomaxLoss.Predictor("global", width: width, in: &layout)
  }

  package var hops: Int { configuration.hops }
  package var partsOfStage: Set<String> { ["local", "global"] }

  /// The distribution of nn.Linear.
  package func distribution(of entry: Layout.Entry) -> Initialisation.Distribution {
    for linear in [local.first, local.second, global.first, global.second]
    where [linear.weight.offset, linear.bias?.offset].contains(entry.slot.offset) {
      return .uniform(bound: 1 / Float(linear.weight.columns).squareRoot())
    }
    return .constant(0)
  }

  /// One of the predictors takes each view; there are no other branches for which it runs.
  package func operations(passes: Int) -> Int { 3 * local.operations }

  package func makeStep(
    _ encoder: any Encoder, _ options: TrainingOptions, penalties: [any RepresentationPenalty],
    in layout: inout Layout
  ) -> any ObjectiveStep {
    precondition(penalties.isEmpty, "graph infomax with \(penalties.map(\.name))")
    precondition(options.batch >= 2, "a batch of \(options.batch): a spread needs two nodes")
    return Step(
      batch: options.batch, representing: Representing(encoder, rows: 2 * options.batch, in: &layout),
      loss: GraphInfomaxLoss(configuration, local: local, global: global, in: &layout),
      penalties: FeaturePenalties(options, encoder, views: 2, in: &layout))
  }

  private struct Step: ObjectiveStep {
    let batch: Int
    let representing: Representing
    let loss: GraphInfomaxLoss
    let penalties: FeaturePenalties

    func run(
      _ batch: PooledBatch, _ parameters: borrowing Storage, _ work: borrowing Storage, _ workers: Workers
    ) -> LossTerms {
      let (z, dz) = (work[representing.representations], work[representing.gradients])
      let (first, second, all) = (0..<self.batch, self.batch..<z.rows, 0..<z.rows)
      let gradients = batch.headGradients[0]
      representing.forward(batch.pooled, rows: all, parameters, work)
      let terms = loss.loss(
        z.rows(first), z.rows(second), into: dz.rows(first), dz.rows(second), parameters, gradients.storage,
        work, workers)
      var result = LossTerms()
      for (name, value) in loss.configuration.weighted(terms) { result.add(name, Float(value)) }
      penalties.add(to: &result, z, adding: dz, inputs: batch.inputs, work)
      representing.backward(
        into: batch.gradients, pooled: batch.pooled, rows: all, parameters, work, adding: gradients.storage)
      return result
    }

    /// Of the first nodes, because the monitors compare all pairs.
    func monitors(_ work: borrowing Storage) -> CollapseMonitors? {
      let z = work[representing.representations]
      let count = min(batch, 512)
      var layout = Layout(alignment: 16)
      let slot = layout.add("representations", 2 * count, z.columns)
      let chosen = Storage(layout)
      Elementwise.copy(z.rows(0..<count), to: chosen[slot].rows(0..<count))
      Elementwise.copy(z.rows(batch..<batch + count), to: chosen[slot].rows(count..<2 * count))
      return CollapseMonitors(projections: chosen[slot], representations: chosen[slot])
    }
  }
}

extension ObjectiveConfiguration {
  /// Local and global prediction between nodes and their neighbourhoods.
  package static func infomax(_ configuration: GraphInfomaxConfiguration) -> Self {
    ObjectiveConfiguration { width, layout in
      GraphInfomaxObjective(configuration, width: width, in: &layout)
    }
  }
}

extension ObjectiveKind {
  /// Prediction between a node and its neighbourhood without negatives (LRGI, arXiv 2309.01503).
  package static let infomax = ObjectiveKind("infomax") { .infomax($0.infomax) }
}
