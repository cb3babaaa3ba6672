/// Logistic regression on frozen features, trained by full batches with an epoch chosen on validation examples: the
/// protocol of LRGI and of DGI (arXiv 2309.01503, arXiv 1809.10341), so that figures compare.
///
/// Features are standardised with the mean and the standard deviation (n - 1) of the training examples; a constant
/// feature becomes 0. One linear layer is trained with Adam. n examples, D = width, C classes.
package struct LogisticRegression: Sendable {
  package var epochs = 1000
  package var learningRate: Float = 1e-2
  /// Whether features are standardised. Sparse features lose by it.
  package var standardises = true

  package init() {}

  /// Features [n, D] and their labels, 0 ..< C.
  package struct Examples {
    package let features: Matrix
    package let labels: [Int]

    package init(_ features: Matrix, labels: [Int]) {
      precondition(features.rows == labels.count, "\(features.rows) rows, \(labels.count) labels")
      (self.features, self.labels) = (features, labels)
    }
  }

  package struct Result: Sendable, Hashable {
    /// The shares of examples classified correctly, 0 … 1.
    package let validation, test: Double
    /// The first epoch of the best accuracy on the validation examples, starting at 1; the last one without any.
    package let epoch: Int
  }

  /// Returns the accuracy on the test examples at the first epoch of the best accuracy on the validation examples. The
  /// initial weights are those of nn.Linear, drawn from `seed`.
  package func evaluate(
    train: Examples, validation: Examples, test: Examples, classes: Int, seed: UInt64, workers: Workers
  ) -> Result {
    let sets = [train, validation, test]
    precondition(!train.labels.isEmpty, "no training examples")
    precondition(
      sets.allSatisfy { $0.features.columns == train.features.columns }, "features of different widths")
    precondition(
      sets.allSatisfy { $0.labels.allSatisfy((0..<classes).contains) }, "a label beyond \(classes) classes")
    var fit = Fit(train, classes: classes, standardises: standardises, seed: seed, workers)
    var best = Result(validation: -1, test: 0, epoch: 0)
    for epoch in 1...max(epochs, 1) {
      fit.step(learningRate: learningRate)
      let right = validation.labels.isEmpty ? 0 : fit.accuracy(validation)
      let isLast = validation.labels.isEmpty && epoch == epochs
      guard isLast || (!validation.labels.isEmpty && right > best.validation) else { continue }
      best = Result(validation: right, test: test.labels.isEmpty ? 0 : fit.accuracy(test), epoch: epoch)
    }
    return best
  }
}

/// A linear layer in training.
private struct Fit: ~Copyable {
  private let linear: Linear
  private let parameters, gradients, work: Storage
  private let inputs, logits, scale, shift, folded, foldedBias: Slot
  private let scores: [Slot]
  private let labels: [Int]
  private let workers: Workers
  private let optimiser: AdamW

  /// The number of rows or columns that a task computes.
  private static let chunk = 256

  init(
    _ train: LogisticRegression.Examples, classes: Int, standardises: Bool, seed: UInt64, _ workers: Workers
  ) {
    let (rows, width) = (train.features.rows, train.features.columns)
    var (layout, memory) = (Layout(alignment: 16), Layout(alignment: 16))
    linear = Linear("linear", inputs: width, outputs: classes, in: &layout)
    inputs = memory.add("inputs", rows, width)
    logits = memory.add("logits", rows, classes)
    (scale, shift) = (memory.add("scale", width), memory.add("shift", width))
    (folded, foldedBias) = (memory.add("folded weights", classes, width), memory.add("folded bias", classes))
    var scores: [Slot] = []
    for _ in 0..<workers.count { scores.append(memory.add("scores", Self.chunk, classes)) }
    self.scores = scores
    parameters = Storage(layout)
    gradients = Storage(layout)
    work = Storage(memory)
    (labels, self.workers) = (train.labels, workers)
    optimiser = AdamW([layout.range], weightDecay: 0)
    let bound = 1 / Float(width).squareRoot()
    for entry in layout.entries {
      var random = RandomNumbers(seed, "parameter \(entry.name)")
      let values = parameters[entry.slot].flat
      for index in 0..<values.count { values[0, index] = random.uniform(-bound, bound) }
    }
    standardise(train.features, standardises)
  }

  /// Computes scale and shift of the columns, and the training inputs x · scale + shift.
  private func standardise(_ x: Matrix, _ standardises: Bool) {
    let (scale, shift, inputs) = (work[scale], work[shift], work[inputs])
    workers.run(x.columns) { column, _ in
      (scale[0, column], shift[0, column]) = (1, 0)
      if standardises {
        var (sum, square) = (0.0, 0.0)
        for row in 0..<x.rows { sum += Double(x[row, column]) }
        let mean = sum / Double(x.rows)
        for row in 0..<x.rows {
          let difference = Double(x[row, column]) - mean
          square += difference * difference
        }
        let deviation = (square / Double(max(x.rows - 1, 1))).squareRoot()
        // Rounding leaves a constant feature with a deviation of the size of the mean's last digits.
        let isConstant = deviation <= 1e-6 * abs(mean) || deviation == 0
        scale[0, column] = isConstant ? 0 : Float(1 / deviation)
        shift[0, column] = isConstant ? 0 : Float(-mean / deviation)
      }
      for row in 0..<x.rows {
        inputs[row, column] = x[row, column] * scale[0, column] + shift[0, column]
      }
    }
  }

  mutating func step(learningRate: Float) {
    let (x, y) = (work[inputs], work[logits])
    forEachPart(of: x.rows) { rows, _ in linear.forward(x.rows(rows), into: y.rows(rows), parameters) }
    _ = CrossEntropy.loss(y) { labels[$0] }
    let dw = gradients[linear.weight]
    forEachPart(of: x.columns) { columns, _ in
      Products.product(y.transposed, x.columns(columns), into: dw.columns(columns))
    }
    let db = gradients[linear.bias!]
    Elementwise.fill(db, 0)
    Elementwise.addColumnSums(of: y, to: db)
    optimiser.step(parameters, gradients, learningRate: learningRate, workers)
  }

  /// Returns the share of examples classified correctly. Their features are used as they are, with the scale and shift in
  /// the weights, because a set of test examples can be large.
  func accuracy(_ examples: LogisticRegression.Examples) -> Double {
    let (w, folded, bias) = (parameters[linear.weight], work[folded], work[foldedBias])
    let (scale, shift) = (work[scale], work[shift])
    for label in 0..<w.rows {
      bias[0, label] =
        parameters[linear.bias!][0, label] + Elementwise.dot(w.row(label), shift.start, count: w.columns)
      for column in 0..<w.columns { folded[label, column] = w[label, column] * scale[0, column] }
    }
    let x = examples.features
    let parts = (x.rows + Self.chunk - 1) / Self.chunk
    let right = [Int](unsafeUninitializedCapacity: parts) { right, initialised in
      forEachPart(of: x.rows) { rows, worker in
        let y = work[scores[worker]].rows(0..<rows.count)
        Elementwise.fillRows(of: y, with: bias)
        Products.product(x.rows(rows), folded.transposed, into: y, keep: 1)
        right[rows.lowerBound / Self.chunk] = rows.indices.count { index in
          let row = index - rows.lowerBound
          let best = (1..<max(y.columns, 1)).reduce(0) { y[row, $1] > y[row, $0] ? $1 : $0 }
          return best == examples.labels[index]
        }
      }
      initialised = parts
    }
    return Double(right.reduce(0, +)) / Double(x.rows)
  }

  /// Calls `body` with ranges of a size that does not depend on the workers, and with the worker.
  private func forEachPart(of count: Int, _ body: (Range<Int>, Int) -> Void) {
    workers.run((count + Self.chunk - 1) / Self.chunk) { part, worker in
      body(part * Self.chunk..<min((part + 1) * Self.chunk, count), worker)
    }
  }
}
