import Engine

/// What a metric of a round is: its name in databases, messages and JSON, and how it is shown.
///
/// A new metric is an entry of ``all``. The server measures it on the model of each round if it has a ``measure``; a
/// metric of clients is added to ``Trainer/metrics``. Database, status page, report, Prometheus and JSON show what is
/// there.
package struct Metric: Sendable {
  package enum Unit: Sendable, Hashable {
    /// A number without a unit.
    case plain
    /// 0 … 1, shown as per cent.
    case share
  }

  /// Its name, such as `effectiveRank`.
  package let name: String
  /// The title of its plot, which metrics share that have the same; empty for none.
  package let title: String
  /// The name of its line in that plot.
  package let line: String
  /// The heading of its column in a table.
  package let heading: String
  /// What it measures, in a few words.
  package let help: String
  package let unit: Unit
  /// Digits behind the point in tables.
  package let digits: Int
  /// Whether it is the value of a trivial predictor, which plots show as a reference to other metrics.
  package let isBaseline: Bool
  /// Whether clients report it with their updates; a round has the mean then, weighted by the samples that count.
  package let isOfClients: Bool
  /// Its name in Prometheus's format, behind `strata_`.
  package let exportedName: String
  /// Measures the model of a committed round: its value for the whole model and for layers. Nil for other metrics.
  package let measure: (@Sendable (Snapshot) -> RoundMetrics)?

  package init(
    _ name: String, title: String, line: String = "clients", heading: String, help: String,
    unit: Unit = .plain, digits: Int = 3, isBaseline: Bool = false, isOfClients: Bool = false,
    exportedName: String? = nil,
    measure: (@Sendable (Snapshot) -> RoundMetrics)? = nil
  ) {
    (self.name, self.title, self.line, self.heading, self.help) = (name, title, line, heading, help)
    (self.unit, self.digits) = (unit, digits)
    (self.isBaseline, self.isOfClients) = (isBaseline, isOfClients)
    self.measure = measure
    self.exportedName = exportedName ?? "last_round_\(Self.exported(name))\(unit == .share ? "_ratio" : "")"
  }

  /// `effectiveRank` as `effective_rank`.
  private static func exported(_ name: String) -> String {
    name.reduce(into: "") { $0 += $1.isUppercase ? "_\($1.lowercased())" : String($1) }
  }

  package static let loss = Metric(
    "loss", title: "Loss", heading: "loss", help: "Mean loss of the clients, weighted by their samples",
    digits: 4)
  /// What a learned controller decides by (``ControllerCurriculum``).
  package static let lastEpochLoss = Metric(
    "lastEpochLoss", title: "Loss", line: "last epoch", heading: "last epoch",
    help: "Mean loss of the last epoch of each client", digits: 4, isOfClients: true)
  package static let calibrationLoss = Metric(
    "calibrationLoss", title: "Loss", line: "calibration", heading: "calibration",
    help: "Mean loss of the calibration on the server's own images", digits: 4)
  package static let probe = Metric(
    "probe", title: "Linear probe", line: "encoder", heading: "probe",
    help: "Share of test samples whose class a linear classifier on the encoder predicts", unit: .share,
    digits: 1,
    exportedName: "last_probe_accuracy_ratio")
  package static let untrainedProbe = Metric(
    "untrainedProbe", title: "Linear probe", line: "untrained", heading: "untrained",
    help: "The same of the encoder without training", unit: .share, digits: 1, isBaseline: true,
    exportedName: "untrained_probe_accuracy_ratio")
  package static let alignment = Metric(
    "alignment", title: "Alignment", heading: "alignment",
    help: "Squared distance of two views of an image, 0 to 4: small if they agree", isOfClients: true)
  package static let uniformity = Metric(
    "uniformity", title: "Uniformity", heading: "uniformity",
    help: "0 if all projections are the same point; lower values mean more spread", isOfClients: true)
  package static let deviation = Metric(
    "deviation", title: "Deviation", heading: "deviation",
    help: "0 if all representations are the same, 1 if they spread", isOfClients: true)
  package static let effectiveRank = Metric(
    "effectiveRank", title: "Effective rank", heading: "rank",
    help: "Number of directions in which representations differ", digits: 1, isOfClients: true)

  /// Of a classification: the last exit's as the round's value, and each exit's as that of the layer `exits.N`.
  package static let accuracy = Metric(
    "accuracy", title: "Accuracy", line: "last exit", heading: "accuracy",
    help: "Share of test samples whose class an exit predicts", unit: .share, digits: 1,
    exportedName: "last_probe_exit_accuracy_ratio")
  package static let majorityBaseline = Metric(
    "majorityBaseline", title: "Accuracy", line: "majority class", heading: "majority",
    help: "Share of test samples of the most frequent class, the accuracy of always predicting it",
    unit: .share, digits: 1, isBaseline: true, exportedName: "last_probe_majority_baseline_ratio")
  package static let balancedAccuracy = Metric(
    "balancedAccuracy", title: "Last exit", line: "balanced accuracy", heading: "balanced",
    help: "Mean recall of the classes at the last exit", unit: .share, digits: 1,
    exportedName: "last_probe_balanced_accuracy_ratio")
  package static let macroF1 = Metric(
    "macroF1", title: "Last exit", line: "macro-F1", heading: "macro-F1",
    help: "Mean F1 of the classes at the last exit", unit: .share, digits: 1,
    exportedName: "last_probe_macro_f1_ratio")
  package static let auroc = Metric(
    "auroc", title: "AUROC", line: "last exit", heading: "AUROC",
    help: "Area under the ROC curve of the last exit, of two classes: 0.5 for a random order",
    exportedName: "last_probe_auroc")

  /// Of the clients that validate (``Validation``): each client's, and over all of them. The accuracy is that of the
  /// last exit, and of each exit as that of the layer `exits.N`.
  package static let validationAccuracy = Metric(
    "validationAccuracy", title: "Validation at clients", line: "accuracy", heading: "validation",
    help: "Share of the clients' own validation images whose class the last exit predicts", unit: .share,
    digits: 1)
  package static let validationBaseline = Metric(
    "validationBaseline", title: "Validation at clients", line: "majority class",
    heading: "validation majority",
    help: "Share of each client's most frequent class among the validation images", unit: .share, digits: 1,
    isBaseline: true)
  package static let validationImages = Metric(
    "validationImages", title: "", heading: "validation images",
    help: "Number of the clients' own validation images", digits: 0)

  /// Of each client whose update is aggregated, and of a round as the mean weighted by samples. An update is the trained
  /// weights minus those that the client began with; the mean update is that of the round, before a calibration.
  package static let driftDistance = Metric(
    "driftDistance", title: "Drift: distance", heading: "drift",
    help: "Euclidean distance of a client's update from the round's mean update", digits: 4)
  package static let driftCosine = Metric(
    "driftCosine", title: "Drift: cosine", heading: "drift cosine",
    help: "Cosine of the angle between a client's update and the round's mean update: 1 if they agree")

  private static let ofExits = [accuracy, majorityBaseline, balancedAccuracy, macroF1, auroc]
  private static let ofValidations = [validationAccuracy, validationBaseline, validationImages]

  /// All that this version knows, in the order in which they are shown.
  package static let all =
    [loss, lastEpochLoss, calibrationLoss, probe, untrainedProbe] + ofExits + ofValidations + [
      alignment, uniformity, deviation, effectiveRank, driftDistance, driftCosine,
    ] + ofAnalyses

  /// Those that clients report.
  package static let ofClients = all.filter(\.isOfClients)
}

/// Metrics are equal if their names are.
extension Metric: Hashable {
  package static func == (a: Metric, b: Metric) -> Bool { a.name == b.name }
  package func hash(into hasher: inout Hasher) { hasher.combine(name) }
}

/// The metrics of a round: of the round as a whole, and of its layers and clients. All of them are finite.
package struct RoundMetrics: Sendable, Hashable {
  /// Of the whole round, by name.
  package private(set) var values: [String: Double] = [:]
  /// Of a layer, and of a client: by its name, then by the metric's.
  package private(set) var layers: [String: [String: Double]] = [:]
  package private(set) var clients: [String: [String: Double]] = [:]
  /// Of a layer at a client: by the client's name, the layer's and the metric's.
  package private(set) var clientLayers: [String: [String: [String: Double]]] = [:]

  package init() {}

  /// A metric of the whole round; what is not finite is not kept.
  package subscript(metric: Metric) -> Double? {
    get { values[metric.name] }
    set { values[metric.name] = newValue.flatMap(Self.finite) }
  }

  package subscript(metric: Metric, layer layer: String) -> Double? {
    get { layers[layer]?[metric.name] }
    set { layers[layer, default: [:]][metric.name] = newValue.flatMap(Self.finite) }
  }

  package subscript(metric: Metric, client client: String) -> Double? {
    get { clients[client]?[metric.name] }
    set { clients[client, default: [:]][metric.name] = newValue.flatMap(Self.finite) }
  }

  package subscript(metric: Metric, client client: String, layer layer: String) -> Double? {
    get { clientLayers[client]?[layer]?[metric.name] }
    set {
      clientLayers[client, default: [:]][layer, default: [:]][metric.name] = newValue.flatMap(Self.finite)
    }
  }

  private static func finite(_ value: Double) -> Double? { value.isFinite ? value : nil }

  /// One value: of a client, of a layer, of a layer at a client, or of the whole round where both are nil.
  package struct Row: Sendable, Hashable {
    package let name: String
    package let client, layer: String?
    package let value: Double

    package init(name: String, client: String?, layer: String?, value: Double) {
      (self.name, self.client, self.layer, self.value) = (name, client, layer, value)
    }
  }

  /// All values: those of the whole round first, each group by name.
  package var rows: [Row] {
    func sorted(_ values: [String: Double], client: String? = nil, layer: String? = nil) -> [Row] {
      values.sorted { $0.key < $1.key }.map {
        Row(name: $0.key, client: client, layer: layer, value: $0.value)
      }
    }
    return sorted(values) + layers.sorted { $0.key < $1.key }.flatMap { sorted($0.value, layer: $0.key) }
      + clients.sorted { $0.key < $1.key }.flatMap { sorted($0.value, client: $0.key) }
      + clientLayers.sorted { $0.key < $1.key }.flatMap { client, layers in
        layers.sorted { $0.key < $1.key }.flatMap { sorted($0.value, client: client, layer: $0.key) }
      }
  }

  package mutating func add(_ row: Row) {
    guard row.value.isFinite else { return }
    if let client = row.client, let layer = row.layer {
      clientLayers[client, default: [:]][layer, default: [:]][row.name] = row.value
    } else if let client = row.client {
      clients[client, default: [:]][row.name] = row.value
    } else if let layer = row.layer {
      layers[layer, default: [:]][row.name] = row.value
    } else {
      values[row.name] = row.value
    }
  }

  package mutating func merge(_ others: RoundMetrics) { for row in others.rows { add(row) } }
}

/// In JSON the metrics of the whole round are fields of the round itself; `layerMetrics`, `clientMetrics` and
/// `clientLayerMetrics` have such fields by layer, by client, and by client and layer.
extension RoundMetrics: Codable {
  private struct Key: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
    static let layers = Key(stringValue: "layerMetrics")
    static let clients = Key(stringValue: "clientMetrics")
    static let clientLayers = Key(stringValue: "clientLayerMetrics")
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Key.self)
    for metric in Metric.all {
      values[metric.name] = try container.decodeIfPresent(Double.self, forKey: Key(stringValue: metric.name))
    }
    layers = try container.decodeIfPresent(type(of: layers), forKey: .layers) ?? [:]
    clients = try container.decodeIfPresent(type(of: clients), forKey: .clients) ?? [:]
    clientLayers = try container.decodeIfPresent(type(of: clientLayers), forKey: .clientLayers) ?? [:]
  }

  package func encode(to encoder: any Swift.Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    for (name, value) in values { try container.encode(value, forKey: Key(stringValue: name)) }
    if !layers.isEmpty { try container.encode(layers, forKey: .layers) }
    if !clients.isEmpty { try container.encode(clients, forKey: .clients) }
    if !clientLayers.isEmpty { try container.encode(clientLayers, forKey: .clientLayers) }
  }
}

extension Trainer {
  /// What a client reports of its training: the metrics of the last batch, by name.
  package var metrics: [String: Float] {
    var metrics: [String: Float] = [:]
    for (metric, value) in CollapseMonitors.metrics(monitors) { metrics[metric.name] = value }
    return metrics
  }
}

/// What has the metrics of a round; the best known ones by name.
package protocol Measured {
  var metrics: RoundMetrics { get set }
}

extension Measured {
  package var loss: Double? {
    get { metrics[.loss] }
    set { metrics[.loss] = newValue }
  }

  package var calibrationLoss: Double? {
    get { metrics[.calibrationLoss] }
    set { metrics[.calibrationLoss] = newValue }
  }

  package var probe: Double? {
    get { metrics[.probe] }
    set { metrics[.probe] = newValue }
  }

  /// The four monitors together.
  package var monitors: CollapseMonitors? {
    get { CollapseMonitors { metrics[$0].map { Float($0) } } }
    set {
      for (metric, value) in CollapseMonitors.metrics(newValue) { metrics[metric] = value.map(Double.init) }
    }
  }
}

extension CollapseMonitors {
  /// Nil where one of the four has no value.
  package init?(_ value: (Metric) -> Float?) {
    guard let alignment = value(.alignment), let uniformity = value(.uniformity),
      let deviation = value(.deviation), let effectiveRank = value(.effectiveRank)
    else { return nil }
    self.init(
      alignment: alignment, uniformity: uniformity, deviation: deviation, effectiveRank: effectiveRank)
  }

  /// The four, each with its metric; without a value where there are none.
  package static func metrics(_ monitors: CollapseMonitors?) -> [(Metric, Float?)] {
    [
      (.alignment, monitors?.alignment), (.uniformity, monitors?.uniformity),
      (.deviation, monitors?.deviation), (.effectiveRank, monitors?.effectiveRank),
    ]
  }
}
