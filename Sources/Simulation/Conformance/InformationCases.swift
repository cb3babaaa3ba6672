import Engine

/// The golden cases of Rényi entropies and of the normalised HSIC.
enum InformationCases {
  static let operations: [String: Conformance.Operation] = [
    "renyi_entropy": renyiEntropy, "information_matrix": informationMatrix, "normalised_hsic": normalisedHSIC,
    "principal_components": principalComponents,
  ]

  private static func renyiEntropy(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let (x, t) = try samples(tensors, "in.x", "in.t")
    var settings = try settings(golden)
    var comparison = Comparison()
    for term in RenyiBottleneck.Term.allCases {
      settings.term = term
      var layout = Layout()
      let bottleneck = RenyiBottleneck(
        settings, batch: x.rows, inputs: x.columns, features: t.columns, in: &layout)
      let (inputs, features) = (layout.add("x", x.rows, x.columns), layout.add("t", t.rows, t.columns))
      let gradient = layout.add("dt", t.rows, t.columns)
      let work = Storage(layout)
      work[inputs].fill(with: x.values)
      work[features].fill(with: t.values)
      let values = bottleneck.values(x: work[inputs], t: work[features], adding: work[gradient], work)
      let name = term == .information ? "out.dinformation" : "out.dentropy"
      try comparison.compare(name, work[gradient].array(), with: tensors(name).values)
      guard term == .information else { continue }
      try comparison.compare(
        "out.sigma", [values.inputWidth, values.featureWidth].map { Float($0) },
        with: tensors("out.sigma").values)
      try comparison.compare(
        "out.entropies",
        [values.inputEntropy, values.featureEntropy, values.jointEntropy].map { Float($0) },
        with: tensors("out.entropies").values)
      try comparison.compare(
        "out.information", [Float(values.term)], with: tensors("out.information").values)
    }
    return comparison
  }

  /// The settings of a case with a weight of 1.
  private static func settings(_ golden: GoldenCase) throws -> RenyiBottleneck.Settings {
    let (kernelName, rule) = try (golden.text("kernel"), golden.text("width_rule"))
    guard let kernel = RenyiBottleneck.Kernel(rawValue: kernelName) else {
      throw ConformanceError("there is no kernel \(kernelName)")
    }
    let widths: RenyiBottleneck.Widths
    switch rule {
    case "nearest": widths = .nearest
    case "first": widths = .first
    case "fixed":
      widths = .fixed(inputs: try golden.number("sigma_x"), features: try golden.number("sigma_t"))
    default: throw ConformanceError("there is no width_rule \(rule)")
    }
    let settings = RenyiBottleneck.Settings(
      weight: 1, alpha: try golden.number("alpha"), kernel: kernel, widths: widths,
      neighbours: try golden.integer("neighbours"), widthGradient: try golden.number("width_gradient") != 0)
    if let problem = settings.problem { throw ConformanceError(problem) }
    return settings
  }

  private static func informationMatrix(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    guard try golden.text("kernel") == "gaussian", try golden.text("width_rule") == "nearest" else {
      throw ConformanceError("an information matrix needs a gaussian kernel and nearest widths")
    }
    let (neighbours, alpha) = try (golden.integer("neighbours"), golden.number("alpha"))
    guard neighbours > 0 && alpha > 1 else {
      throw ConformanceError("\(neighbours) neighbours, alpha \(alpha)")
    }
    let kernel = SimilarityKernel(.gaussian, width: .nearest(neighbours))
    var variables: [SampleSimilarity] = []
    while tensors.has("in.t\(variables.count)") {
      let samples = try Samples(tensors, "in.t\(variables.count)")
      guard variables.allSatisfy({ $0.samples == samples.rows }) else {
        throw ConformanceError("in.t\(variables.count) has \(samples.rows) samples")
      }
      let storage = Storage(0..<samples.values.count)
      storage.all.fill(with: samples.values)
      variables.append(
        SampleSimilarity(storage.all.reshaped(samples.rows, samples.columns), kernel))
    }
    let matrix = SampleSimilarity.information(variables, alpha: alpha, workers: Workers(2))
    var comparison = Comparison()
    try comparison.compare(
      "out.matrix", matrix.flatMap { $0.map { Float($0) } }, with: tensors("out.matrix").values)
    return comparison
  }

  private static func normalisedHSIC(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let (x, z) = try samples(tensors, "in.x", "in.z")
    let (labels, classes) = try (tensors("in.labels").values, golden.integer("classes"))
    let (sigma, epsilon) = try (golden.number("sigma"), golden.number("epsilon"))
    guard labels.count == x.rows, classes > 0, labels.allSatisfy({ $0 >= 0 && $0 < Float(classes) }) else {
      throw ConformanceError("in.labels is \(labels)")
    }
    guard sigma > 0 && epsilon > 0 else { throw ConformanceError("sigma \(sigma), epsilon \(epsilon)") }
    var layout = Layout()
    let criterion = NormalisedHSIC(
      NormalisedHSIC.Settings(sigma: sigma, epsilon: epsilon), samples: x.rows, inputs: x.columns,
      features: z.columns, in: &layout)
    let (inputs, features) = (layout.add("x", x.rows, x.columns), layout.add("z", z.rows, z.columns))
    let (ofInputs, ofClasses) = (layout.add("dz_x", z.rows, z.columns), layout.add("dz_y", z.rows, z.columns))
    let work = Storage(layout)
    work[inputs].fill(with: x.values)
    work[features].fill(with: z.values)
    let withInputs = criterion.value(
      inputs: work[inputs], features: work[features], adding: work[ofInputs], work)
    let withClasses = criterion.value(
      label: { Int(labels[$0]) }, classes: classes, features: work[features], adding: work[ofClasses], work)
    var comparison = Comparison()
    try comparison.compare("out.nhsic_x", [Float(withInputs)], with: tensors("out.nhsic_x").values)
    try comparison.compare("out.nhsic_y", [Float(withClasses)], with: tensors("out.nhsic_y").values)
    // The form of an analysis of layers, which compares each variable with several others.
    let settings = NormalisedHSIC.Settings(sigma: sigma, epsilon: epsilon)
    let own = CentredSimilarity(work[features], settings)
    let ofX = CentredSimilarity(work[inputs], settings).dependence(on: own)
    let ofY = CentredSimilarity(classes: labels.map { Int($0) }, count: classes, settings).dependence(on: own)
    try comparison.compare("out.nhsic_x", [Float(ofX)], with: tensors("out.nhsic_x").values)
    try comparison.compare("out.nhsic_y", [Float(ofY)], with: tensors("out.nhsic_y").values)
    try comparison.compare("out.dz_x", work[ofInputs].array(), with: tensors("out.dz_x").values)
    try comparison.compare("out.dz_y", work[ofClasses].array(), with: tensors("out.dz_y").values)
    return comparison
  }

  private static func principalComponents(
    _ golden: GoldenCase, _ tensors: GoldenTensors
  ) throws -> Comparison {
    let samples = try Samples(tensors, "in.x")
    let storage = Storage(0..<samples.values.count)
    storage.all.fill(with: samples.values)
    guard let components = PrincipalComponents(storage.all.reshaped(samples.rows, samples.columns)) else {
      throw ConformanceError("in.x is not finite")
    }
    var comparison = Comparison()
    try comparison.compare(
      "out.points", components.points.flatMap { [Float($0.x), Float($0.y)] },
      with: tensors("out.points").values)
    try comparison.compare(
      "out.explained", [Float(components.explained.x), Float(components.explained.y)],
      with: tensors("out.explained").values)
    return comparison
  }

  /// A tensor of samples [rows, columns].
  private struct Samples {
    let rows, columns: Int
    let values: [Float]

    init(_ tensors: GoldenTensors, _ name: String) throws {
      let tensor = try tensors(name)
      guard tensor.shape.count == 2, tensor.shape[0] > 0 else {
        throw ConformanceError("\(name) has the shape \(tensor.shape)")
      }
      (rows, columns, values) = (tensor.shape[0], tensor.shape[1], tensor.values)
    }
  }

  private static func samples(
    _ tensors: GoldenTensors, _ a: String, _ b: String
  ) throws -> (Samples, Samples) {
    let (first, second) = try (Samples(tensors, a), Samples(tensors, b))
    guard first.rows == second.rows else {
      throw ConformanceError("\(first.rows) rows of \(a) and \(second.rows) of \(b)")
    }
    return (first, second)
  }
}
