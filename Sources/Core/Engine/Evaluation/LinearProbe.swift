import Foundation

/// Multinomial logistic regression on frozen representations, which measures how linearly separable the classes are.
///
/// N images, D = width, C classes. Features are standardised with the training set's statistics; the weights minimise
/// mean cross-entropy + λ/2 ‖W‖² with L-BFGS (Liu and Nocedal 1989). Deterministic.
package struct LinearProbe {
  private let weights: [Float]
  private let mean: [Float]
  private let scale: [Float]
  private let classes: Int
  private let width: Int

  /// Fits the probe to representations [N, D] and labels 0 ..< classes.
  package init(
    _ features: Matrix, labels: [Int], classes: Int, weightDecay: Float = 1e-3, iterations: Int = 200
  ) {
    precondition(
      features.rows == labels.count && features.rows > 0, "\(features.rows) rows, \(labels.count) labels")
    precondition(labels.allSatisfy { (0..<classes).contains($0) }, "a label beyond \(classes) classes")
    (width, self.classes) = (features.columns, classes)
    (mean, scale) = Self.statistics(features)
    let objective = ProbeObjective(
      features, mean: mean, scale: scale, labels: labels, classes: classes, weightDecay: weightDecay)
    weights = LBFGS.minimise(
      [Float](repeating: 0, count: classes * (width + 1)), iterations: iterations, objective.evaluate)
  }

  /// Returns the share of images classified correctly, 0 … 1.
  package func accuracy(_ features: Matrix, labels: [Int]) -> Double {
    precondition(features.rows == labels.count && features.columns == width)
    guard !labels.isEmpty else { return 0 }
    let right = labels.indices.count { predict(features.row($0)) == labels[$0] }
    return Double(right) / Double(labels.count)
  }

  private func predict(_ row: UnsafePointer<Float>) -> Int {
    var best = (score: -Float.infinity, label: 0)
    for label in 0..<classes {
      let w = label * (width + 1)
      var score = weights[w + width]
      for c in 0..<width { score += weights[w + c] * (row[c] - mean[c]) * scale[c] }
      if score > best.score { best = (score, label) }
    }
    return best.label
  }

  private static func statistics(_ x: Matrix) -> (mean: [Float], scale: [Float]) {
    var mean = [Float](repeating: 0, count: x.columns)
    var scale = mean
    for c in 0..<x.columns {
      var (sum, square) = (0.0, 0.0)
      for r in 0..<x.rows {
        sum += Double(x[r, c])
        square += Double(x[r, c]) * Double(x[r, c])
      }
      let center = sum / Double(x.rows)
      mean[c] = Float(center)
      // A constant feature has no information and is ignored.
      let deviation = max(square / Double(x.rows) - center * center, 0).squareRoot()
      scale[c] = deviation > 1e-6 ? Float(1 / deviation) : 0
    }
    return (mean, scale)
  }
}

/// The probe's loss and gradient as a function of its weights [C, D + 1], with the bias last in each row.
private final class ProbeObjective {
  private let storage: Storage
  private let features, logits, weights, gradient: Slot
  private let labels: [Int]
  private let weightDecay: Float

  init(
    _ x: Matrix, mean: [Float], scale: [Float], labels: [Int], classes: Int, weightDecay: Float
  ) {
    var layout = Layout(alignment: 16)
    features = layout.add("features", x.rows, x.columns + 1)
    logits = layout.add("logits", x.rows, classes)
    weights = layout.add("weights", classes, x.columns + 1)
    gradient = layout.add("gradient", classes, x.columns + 1)
    storage = Storage(layout)
    (self.labels, self.weightDecay) = (labels, weightDecay)
    let standardised = storage[features]
    for r in 0..<x.rows {
      for c in 0..<x.columns { standardised[r, c] = (x[r, c] - mean[c]) * scale[c] }
      standardised[r, x.columns] = 1
    }
  }

  func evaluate(_ point: [Float]) -> (value: Double, gradient: [Float]) {
    let (x, y, w, g) = (storage[features], storage[logits], storage[weights], storage[gradient])
    for (index, value) in point.enumerated() { w.start[index] = value }
    Products.product(x, w.transposed, into: y)
    var loss = 0.0
    for r in 0..<y.rows {
      let own = y[r, labels[r]]
      loss += Double(Softmax.row(y.row(r), count: y.columns) - own)
      y[r, labels[r]] -= 1
    }
    Products.product(y.transposed, x, into: g, scale: 1 / Float(x.rows))
    var square = 0.0
    for r in 0..<w.rows {
      // The bias has no weight decay.
      for c in 0..<w.columns - 1 {
        square += Double(w[r, c] * w[r, c])
        g[r, c] += weightDecay * w[r, c]
      }
    }
    return (loss / Double(x.rows) + Double(weightDecay) / 2 * square, g.array())
  }
}

/// The representations of images by an encoder, without augmentation.
package enum Representations {
  /// Returns one row per image, [count, D]. `write(image, worker, pixels)` writes an image as [C, H, W], normalised.
  package static func of(
    _ count: Int, by model: Model, _ parameters: borrowing Storage, workers: Workers, chunk: Int = 8,
    _ write: (Int, Int, UnsafeMutablePointer<Float>) -> Void
  ) -> Storage {
    of(count, by: model.encoder, parameters, workers: workers, chunk: chunk, write)
  }

  /// Returns the representations by an encoder whose parameters are in another layout.
  package static func of(
    _ count: Int, by encoder: any Encoder, _ parameters: borrowing Storage, workers: Workers, chunk: Int = 8,
    _ write: (Int, Int, UnsafeMutablePointer<Float>) -> Void
  ) -> Storage {
    var layout = Layout()
    let slot = layout.add("representations", count, encoder.output)
    let result = Storage(layout)
    let rows = result[slot]
    let runners = (0..<workers.count).map { _ in encoder.makeRunner(chunk: chunk) }
    workers.run((count + chunk - 1) / chunk) { task, worker in
      let images = task * chunk..<min((task + 1) * chunk, count)
      let runner = runners[worker]
      runner.begin(images.count, parameters) { write(images.lowerBound + $0, worker, $1) }
      runner.represent(images.count, from: 0, into: rows.rows(images), parameters)
    }
    return result
  }
}
