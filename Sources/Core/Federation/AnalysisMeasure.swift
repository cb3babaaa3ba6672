import Support

/// What an analysis of an encoder's layers measures (``LayerAnalysis``).
package struct AnalysisMeasure: NamedKind {
  package let rawValue: String

  /// nHSIC of all features of each layer with the inputs and with the labels (E2E-info, arXiv 2402.09050).
  package static let hsic = AnalysisMeasure("hsic")
  /// The same with the pooled features of each layer.
  package static let pooledHSIC = AnalysisMeasure("hsic-pooled")
  /// Matrix-based Rényi information of the pooled features of each layer with the inputs, the labels and those of other
  /// layers (GreedyDIB, arXiv 2510.27651).
  package static let renyi = AnalysisMeasure("renyi")
  /// The two principal components of the representations of the last model.
  package static let pca = AnalysisMeasure("pca")

  package static let allCases: [AnalysisMeasure] = [.hsic, .pooledHSIC, .renyi, .pca]

  private init(_ name: String) { rawValue = name }
}

extension Metric {
  /// How many samples an analysis of layers used: other metrics of it are comparable only for the same samples.
  package static let analysisSamples = Metric(
    "analysisSamples", title: "", heading: "analysed",
    help: "Number of test samples in the analysis of layers", digits: 0)

  /// Of a layer: what all its features, such as tokens or pixels, tell of the input and of the label.
  package static let hsicInput = Metric(
    "hsicInput", title: "", heading: "nHSIC with the input",
    help: "Dependence of each layer's features on the input (nHSIC), 0 for none", digits: 2)
  package static let hsicLabel = Metric(
    "hsicLabel", title: "", heading: "nHSIC with the label",
    help: "Dependence of each layer's features on the class (nHSIC), 0 to the number of classes minus 1",
    digits: 3)
  /// The same of its pooled features.
  package static let pooledHSICInput = Metric(
    "pooledHSICInput", title: "", heading: "nHSIC of pooled features with the input",
    help: "Dependence of each layer's pooled features on the input (nHSIC)", digits: 2,
    exportedName: "last_round_pooled_hsic_input")
  package static let pooledHSICLabel = Metric(
    "pooledHSICLabel", title: "", heading: "nHSIC of pooled features with the label",
    help: "Dependence of each layer's pooled features on the class (nHSIC)", digits: 3,
    exportedName: "last_round_pooled_hsic_label")
  package static let renyiInput = Metric(
    "renyiInput", title: "", heading: "Rényi information with the input",
    help: "Matrix-based information of each layer's pooled features about the input, in bits")
  package static let renyiLabel = Metric(
    "renyiLabel", title: "", heading: "Rényi information with the label",
    help: "Matrix-based information of each layer's pooled features about the class, in bits")
  /// Of a pair of layers, `A~B`: the elements of a symmetric matrix, once each. The first layer is `input`.
  package static let renyiPair = Metric(
    "renyiPair", title: "", heading: "Rényi information of two layers in bits",
    help: "Matrix-based information of two layers' pooled features about each other, in bits")

  /// The metrics of ``LayerAnalysis``, which have figures of their own on pages.
  package static let ofAnalyses = [
    analysisSamples, hsicInput, hsicLabel, pooledHSICInput, pooledHSICLabel, renyiInput, renyiLabel,
    renyiPair,
  ]

  /// The metrics that a plane shows, on its horizontal and on its vertical axis.
  package static let planes: [(title: String, x: Metric, y: Metric)] = [
    ("nHSIC", hsicInput, hsicLabel), ("nHSIC of pooled features", pooledHSICInput, pooledHSICLabel),
    ("Rényi information, bits", renyiInput, renyiLabel),
  ]
}
