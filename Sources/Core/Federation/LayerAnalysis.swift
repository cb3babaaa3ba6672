import Datasets
import Engine
import Foundation

/// What each layer of an encoder knows of its inputs, of their labels and of other layers, on a fixed probe: samples
/// without augmentation, with running statistics. All numbers are float64 from float32 features, and do not depend on
/// the number of threads.
///
/// X: normalised images, or the inputs of nodes or rows; h_l, t_l: ``LayerFeatures``; Y: classes. The measures are nHSIC
/// (X, h_l) and (Y, h_l) (arXiv 2402.09050), and I_α(X; t_l), I_α(Y; t_l) and I_α(t_k; t_l) with α = 1.01 and the widths
/// of ten neighbours (arXiv 2510.27651). They are measures of dependence, not Shannon's information, since features are
/// functions of the input; they grow with the number of samples.
package struct LayerAnalysis: Sendable {
  package let measures: Set<AnalysisMeasure>
  /// The data of the probe, of a graph all of it, and the examples in them that count.
  private let examples: Dataset
  private let indices: [Int]
  private let pictureIndices: [Int]
  private let augmentation: AugmentationSettings
  private let threads: Int

  /// The samples of a probe by default, and at most: the work grows with their third power.
  package static let defaultSamples = 512
  package static let mostSamples = 4096
  /// The order of the Rényi entropies.
  package static let alpha = 1.01

  /// Draws the samples by the plan's seed: the first `samples` in a random order, of a graph of its test nodes. Reads all
  /// images and omits those that cannot be read. Throws a ``DatasetError`` if fewer than two can be, or if they do not
  /// have the classes of the plan.
  package init(
    _ plan: Plan, _ test: Dataset, measures: Set<AnalysisMeasure>, samples: Int = Self.defaultSamples,
    threads: Int
  ) throws(DatasetError) {
    precondition((2...Self.mostSamples).contains(samples), "an analysis of \(samples) samples")
    let all = try plan.labelled(test).readable(Workers(threads))
    var random = RandomNumbers(plan.seed, "analysis")
    let candidates: [Int]
    if case .nodes(let set) = all {
      candidates = set.split.test
      guard candidates.count > 1 else { throw .noNodes(for: "an analysis", kind: "test") }
    } else {
      candidates = Array(0..<all.count)
      guard candidates.count > 1 else { throw .tooFew(count: candidates.count, broken: all.broken) }
    }
    let order = candidates.shuffled(using: &random)
    // In their own order, so that a probe of all samples does not depend on the seed.
    indices = order.prefix(samples).sorted()
    pictureIndices = order.prefix(RepresentationPicture.mostSamples).sorted()
    (examples, self.measures, self.threads) = (all, measures, threads)
    augmentation = plan.augmentation
  }

  /// The number of samples of the probe.
  package var samples: Int { indices.count }

  /// Whether rounds have metrics; otherwise only the last model is analysed.
  package var isByRound: Bool { !measures.subtracting([.pca]).isEmpty }

  /// Returns the metrics of the layers that exist in a model: ``Metric/ofAnalyses``. A layer whose features are not finite
  /// has no values.
  package func metrics(of snapshot: Snapshot) -> RoundMetrics {
    let snapshot = snapshot.complete
    let model = snapshot.stage.model
    let parameters = Storage(model.layout)
    snapshot.write(into: parameters)
    let workers = Workers(threads)
    var values = LayerValues(measures, labels: labels, classes: examples.classes)
    let features = LayerFeatures(model, workers: workers)
    let write = writer(model.configuration)
    let inputs = Storage(0..<samples * model.encoder.inputCount)
    let x = inputs.all.reshaped(samples, model.encoder.inputCount)
    workers.run(samples) { index, _ in write(index, x.row(index)) }
    values.begin(x)
    let name = { "blocks.\(model.encoder.blocks[$0 - 1])" }
    if case .nodes(let set) = examples {
      features.forEachDepth(indices, of: set.graph, set.features, parameters) { values.add(name($0), $1, $2) }
    } else {
      features.forEachDepth(samples, parameters, write) { values.add(name($0), $1, $2) }
    }
    return values.metrics(workers)
  }

  /// Returns the picture of a model's representations: of the encoder's outputs for at most
  /// ``RepresentationPicture/mostSamples`` test samples. Nil if they are not finite.
  package func picture(of snapshot: Snapshot) -> RepresentationPicture? {
    let checkpoint = EncoderCheckpoint(snapshot, augmentation)
    let workers = Workers(threads)
    let places = pictureIndices
    let outputs: Storage
    if case .nodes(let set) = examples {
      guard let all = try? NodeRepresentations(set, by: checkpoint, workers) else { return nil }
      outputs = all.rows(places)
    } else {
      var layout = Layout()
      let encoder = checkpoint.configuration.makeEncoder(
        blocks: Array(0..<checkpoint.configuration.depth), in: &layout)
      let parameters = Storage(layout)
      checkpoint.write(into: parameters)
      let write = writer(checkpoint.configuration, of: places)
      outputs = Representations.of(places.count, by: encoder, parameters, workers: workers) {
        write($0, $2)
      }
    }
    let components = PrincipalComponents(
      outputs.all.reshaped(places.count, checkpoint.configuration.output))
    return components.map {
      RepresentationPicture(
        $0, labels: examples.labels.map { labels in places.map { labels[$0] } },
        classNames: examples.classNames)
    }
  }

  /// The labels of the probe's samples; nil if they have none.
  private var labels: [Int]? { examples.labels.map { labels in indices.map { labels[$0] } } }

  /// Returns the function that writes an input of the probe, or of other examples.
  private func writer(
    _ configuration: EncoderConfiguration, of others: [Int]? = nil
  ) -> (Int, UnsafeMutablePointer<Float>) -> Void {
    let places = others ?? indices
    switch examples {
    case .images(let images):
      let augmenter = Augmenter(
        .withLabels(mean: augmentation.mean, deviation: augmentation.deviation), for: configuration)
      return { augmenter.plain(images, index: places[$0], into: $1) }
    case .rows(let rows):
      return { index, place in
        for (column, value) in rows.inputs(of: places[index]).enumerated() { place[column] = Float(value) }
      }
    case .nodes(let set):
      return { set.features.write(places[$0], into: $1) }
    }
  }
}

/// The kernel matrices of the layers of one model, and the metrics that follow from them.
private struct LayerValues {
  private let measures: Set<AnalysisMeasure>
  private let labels: [Int]?
  private let classes: Int
  private var result = RoundMetrics()
  private var inputs, ofLabels: CentredSimilarity?
  /// The input and the layers, with their names.
  private var names: [String] = []
  private var variables: [SampleSimilarity] = []

  init(_ measures: Set<AnalysisMeasure>, labels: [Int]?, classes: Int) {
    (self.measures, self.labels, self.classes) = (measures, labels, classes)
  }

  /// - Parameter x: the inputs [N, d].
  mutating func begin(_ x: Matrix) {
    result[.analysisSamples] = Double(x.rows)
    if measures.contains(.hsic) || measures.contains(.pooledHSIC) {
      inputs = CentredSimilarity(x)
      ofLabels = labels.map { CentredSimilarity(classes: $0, count: max(classes, 1)) }
    }
    if measures.contains(.renyi) { add(LayerPair.input, to: SampleSimilarity(x)) }
  }

  private mutating func add(_ name: String, to variable: SampleSimilarity) {
    names.append(name)
    variables.append(variable)
  }

  /// Adds a layer with all features h and pooled features t.
  mutating func add(_ layer: String, _ h: Matrix, _ t: Matrix) {
    if measures.contains(.hsic) { add(layer, h, .hsicInput, .hsicLabel) }
    if measures.contains(.pooledHSIC) { add(layer, t, .pooledHSICInput, .pooledHSICLabel) }
    if measures.contains(.renyi) { add(layer, to: SampleSimilarity(t)) }
  }

  private mutating func add(_ layer: String, _ z: Matrix, _ ofInputs: Metric, _ ofClasses: Metric) {
    let own = CentredSimilarity(z)
    result[ofInputs, layer: layer] = inputs?.dependence(on: own)
    if let value = ofLabels?.dependence(on: own) { result[ofClasses, layer: layer] = value }
  }

  func metrics(_ workers: Workers) -> RoundMetrics {
    var metrics = result
    guard !variables.isEmpty else { return metrics }
    let all = variables + (labels.map { [SampleSimilarity(classes: $0)] } ?? [])
    let matrix = SampleSimilarity.information(all, alpha: LayerAnalysis.alpha, workers: workers)
    for (a, first) in names.enumerated() {
      for (b, second) in names.enumerated().dropFirst(a) {
        metrics[.renyiPair, layer: LayerPair.name(first, second)] = matrix[a][b]
      }
      guard a > 0 else { continue }
      metrics[.renyiInput, layer: first] = matrix[0][a]
      if labels != nil { metrics[.renyiLabel, layer: first] = matrix[a][names.count] }
    }
    return metrics
  }
}

/// The name of a pair of layers in metrics.
package enum LayerPair {
  private static let mark = "~"
  /// The name of the input among layers.
  package static let input = "input"

  package static func name(_ a: String, _ b: String) -> String { a + mark + b }

  /// Returns both layers; nil if a name is that of a single layer.
  package static func layers(of name: String) -> (String, String)? {
    let parts = name.split(separator: mark, maxSplits: 1, omittingEmptySubsequences: false)
    return parts.count == 2 ? (String(parts[0]), String(parts[1])) : nil
  }
}

extension RoundMetrics {
  /// The symmetric matrix of ``Metric/renyiPair`` with the names of its rows in natural order, the input first; nil
  /// without one. An element without a value is nil.
  package var pairs: (names: [String], values: [[Double?]])? {
    let found = layers.keys.filter { self[.renyiPair, layer: $0] != nil }.compactMap(LayerPair.layers)
    let names = Set(found.flatMap { [$0.0, $0.1] })
    guard !names.isEmpty else { return nil }
    let input = names.filter { $0 == LayerPair.input }
    let ordered = input + names.subtracting(input).sorted { $0.precedesNaturally($1) }
    let values = ordered.map { a in
      ordered.map { b in
        self[.renyiPair, layer: LayerPair.name(a, b)] ?? self[.renyiPair, layer: LayerPair.name(b, a)]
      }
    }
    return (ordered, values)
  }
}
