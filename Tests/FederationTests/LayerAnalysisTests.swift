import Datasets
import Engine
import Federation
import Foundation
import TestSupport
import Testing

@Suite(.unhurried) struct LayerAnalysisTests {
  private static let vit = EncoderConfiguration(image: 16, patch: 4, width: 24, depth: 3, heads: 3)
  private static let resnet = EncoderConfiguration(
    ResNetConfiguration(images: ImageInput(side: 16), width: 4, depth: 3))

  private static func plan(
    _ encoder: EncoderConfiguration = vit, _ strategy: Strategy = .endToEnd, seed: UInt64 = 3
  ) -> Plan {
    var plan = Plan(
      name: "tiny", seed: seed, encoder: encoder, heads: HeadConfiguration(hidden: 8, output: 4))
    plan.method.strategy = strategy
    return plan
  }

  private static func images(_ count: Int = 40) throws -> Dataset {
    try DataSpec(parsing: "shapes:\(count)").dataset(role: .test, for: .images(ImageInput(side: 16)))
  }

  private static func snapshot(_ plan: Plan, stage index: Int = 1, seed: UInt64 = 5) -> Snapshot {
    let stage = plan.stage(index)
    let parameters = Storage(stage.model.layout)
    Initialisation.random(stage.model, into: parameters, seed: seed)
    return Snapshot(stage, parameters)
  }

  private static let all = Set(AnalysisMeasure.allCases)

  private func analysis(
    _ plan: Plan, _ test: Dataset? = nil, _ measures: Set<AnalysisMeasure> = all, samples: Int = 24,
    threads: Int = 2
  ) throws -> LayerAnalysis {
    try LayerAnalysis(
      plan, test ?? Self.images(), measures: measures, samples: samples, threads: threads)
  }

  @Test(arguments: [vit, resnet]) func threadsDoNotChangeAFigure(encoder: EncoderConfiguration) throws {
    let plan = Self.plan(encoder)
    let snapshot = Self.snapshot(plan)
    let (metrics, pictures) = try [1, 2, 5].reduce(into: ([RoundMetrics](), [RepresentationPicture?]())) {
      let analysis = try analysis(plan, threads: $1)
      $0.0.append(analysis.metrics(of: snapshot))
      $0.1.append(analysis.picture(of: snapshot))
    }
    #expect(metrics[1] == metrics[0] && metrics[2] == metrics[0])
    #expect(pictures[1] == pictures[0] && pictures[2] == pictures[0] && pictures[0] != nil)
  }

  /// Every value is that of the criterion on the features of the layer.
  @Test func valuesAreThoseOfTheFormulas() throws {
    let plan = Self.plan()
    let (snapshot, test) = (Self.snapshot(plan), try Self.images(24))
    // All samples, so that their order is their own.
    let metrics = try analysis(plan, test).metrics(of: snapshot)
    #expect(metrics[.analysisSamples] == 24)
    guard case .images(let set) = test, let labels = test.labels else { throw Unexpected("no images") }
    let augmenter = Augmenter(
      .withLabels(mean: plan.augmentation.mean, deviation: plan.augmentation.deviation), for: plan.encoder)
    let model = snapshot.stage.model
    let runner = PrefixRunner(model, workers: Workers(1))
    snapshot.write(into: runner.parameters)
    let x = Storage(0..<24 * 768)
    let inputs = x.all.reshaped(24, 768)
    for index in 0..<24 { augmenter.plain(set, index: index, into: inputs.row(index)) }
    let last = Representations.of(24, by: model, runner.parameters, workers: Workers(1)) {
      augmenter.plain(set, index: $0, into: $2)
    }
    let variables = [
      SampleSimilarity(inputs), SampleSimilarity(last.all.reshaped(24, 24)),
      SampleSimilarity(classes: labels),
    ]
    for depth in 1...3 {
      let size = model.encoder.featureSize(behind: depth)
      let place = Storage(0..<24 * size)
      let features = place.all.reshaped(24, size)
      runner.run(24, from: .images, to: depth) { image, _, place in
        augmenter.plain(set, index: image, into: place)
      } write: { image, values in
        features.row(image).update(from: values, count: size)
      }
      var layout = Layout()
      let criterion = NormalisedHSIC(samples: 24, inputs: 768, features: size, in: &layout)
      let work = Storage(layout)
      let layer = "blocks.\(depth - 1)"
      let ofInput = try #require(metrics[.hsicInput, layer: layer])
      #expect(abs(ofInput - criterion.value(inputs: inputs, features: features, work)) < 1e-4)
      let ofLabel = try #require(metrics[.hsicLabel, layer: layer])
      let expected = criterion.value(
        label: { labels[$0] }, classes: test.classes, features: features, work)
      #expect(abs(ofLabel - expected) < 1e-4 && ofLabel > 0 && ofLabel <= Double(test.classes - 1))
      #expect(ofInput > 0 && ofInput <= 23)
    }
    let ofInput = variables[0].information(with: variables[1], alpha: 1.01)
    #expect(abs(try #require(metrics[.renyiInput, layer: "blocks.2"]) - ofInput) < 1e-4)
    let ofLabel = variables[1].information(with: variables[2], alpha: 1.01)
    #expect(abs(try #require(metrics[.renyiLabel, layer: "blocks.2"]) - ofLabel) < 1e-4)
  }

  @Test func pairsAreAMatrixWithTheInput() throws {
    let plan = Self.plan()
    let metrics = try analysis(plan, samples: 20).metrics(of: Self.snapshot(plan))
    let pairs = try #require(metrics.pairs)
    #expect(pairs.names == ["input", "blocks.0", "blocks.1", "blocks.2"])
    for (a, row) in pairs.values.enumerated() {
      for (b, value) in row.enumerated() {
        #expect(value == pairs.values[b][a] && (value ?? -1) > 0)
      }
    }
    for depth in 0..<3 {
      #expect(metrics[.renyiInput, layer: "blocks.\(depth)"] == pairs.values[0][depth + 1])
      // The class token is a part of all features.
      #expect(
        metrics[.pooledHSICInput, layer: "blocks.\(depth)"] != metrics[.hsicInput, layer: "blocks.\(depth)"])
    }
    #expect(RoundMetrics().pairs == nil)
    // Of more than ten layers, the order is that of their numbers.
    var many = RoundMetrics()
    for layer in 0..<12 { many[.renyiPair, layer: LayerPair.name("input", "blocks.\(layer)")] = 1 }
    #expect(try #require(many.pairs).names == ["input"] + (0..<12).map { "blocks.\($0)" })
    #expect(many.pairs?.values[3][4] == .some(nil))
  }

  /// A layer whose stage has not begun has no values.
  @Test(arguments: [vit, resnet]) func onlyLayersThatExistAreAnalysed(encoder: EncoderConfiguration) throws {
    let plan = Self.plan(encoder, .layerWise)
    for stage in 1...3 {
      let metrics = try analysis(plan).metrics(of: Self.snapshot(plan, stage: stage))
      let layers = Set(metrics.layers.keys).filter { LayerPair.layers(of: $0) == nil }
      #expect(layers == Set((0..<stage).map { "blocks.\($0)" }))
      #expect(metrics.pairs?.names.count == stage + 1)
    }
  }

  /// The samples are drawn by the seed, and are the same in every round.
  @Test func theProbeIsThatOfTheSeed() throws {
    let plan = Self.plan()
    let snapshot = Self.snapshot(plan)
    let metrics = try analysis(plan, samples: 10).metrics(of: snapshot)
    #expect(try analysis(plan, samples: 10).metrics(of: snapshot) == metrics)
    #expect(try analysis(Self.plan(seed: 4), samples: 10).metrics(of: snapshot) != metrics)
    let few = try analysis(plan, Self.images(12), samples: 512)
    #expect(few.samples == 12 && few.metrics(of: snapshot)[.analysisSamples] == 12)
  }

  @Test func measuresThatWereNotRequestedAreNotTaken() throws {
    let plan = Self.plan()
    let snapshot = Self.snapshot(plan)
    func names(_ measure: AnalysisMeasure) throws -> Set<String> {
      Set(try analysis(plan, nil, [measure]).metrics(of: snapshot).rows.map(\.name))
    }
    #expect(try names(.hsic) == ["analysisSamples", "hsicInput", "hsicLabel"])
    #expect(try names(.pooledHSIC) == ["analysisSamples", "pooledHSICInput", "pooledHSICLabel"])
    #expect(try names(.renyi) == ["analysisSamples", "renyiInput", "renyiLabel", "renyiPair"])
    #expect(try !analysis(plan, nil, [.pca]).isByRound && analysis(plan, nil, [.pca, .renyi]).isByRound)
  }

  @Test func withoutLabelsThereIsOnlyTheInput() throws {
    guard case .images(let set) = try Self.images() else { throw Unexpected("no images") }
    var pixels: [UInt8] = []
    for _ in 0..<12 * 3 * 16 * 16 { pixels.append(UInt8(truncatingIfNeeded: pixels.count &* 73 / 7)) }
    let images = Dataset.images(ImageSet(pixels: pixels, count: 12, channels: 3, size: 16))
    #expect(images.labels == nil && set.labels != nil)
    let plan = Self.plan()
    let analysis = try analysis(plan, images)
    let names = Set(analysis.metrics(of: Self.snapshot(plan)).rows.map(\.name))
    #expect(names == ["analysisSamples", "hsicInput", "pooledHSICInput", "renyiInput", "renyiPair"])
    let picture = try #require(analysis.picture(of: Self.snapshot(plan)))
    #expect(picture.labels == nil && picture.points.count == 12)
  }

  @Test func oneSampleIsTooFew() throws {
    #expect(throws: DatasetError.tooFew(count: 1, broken: [])) { try analysis(Self.plan(), Self.images(1)) }
  }

  @Test func nodesAreTheTestNodesOnTheWholeGraph() throws {
    let spec = "sbm:200?classes=4&features=20&seed=5"
    let encoder = EncoderConfiguration(GraphConvolutionConfiguration(features: 20, width: 12, depth: 2))
    var plan = Plan(name: "graph", seed: 7, encoder: encoder)
    (plan.method.objective, plan.method.alignment) = (.classification, 0)
    plan.method.classification = Plan.Classification(classes: .count(4))
    plan.method.strategy = .endToEnd
    let set = try DataSpec(parsing: spec).dataset(role: .test, for: encoder.input)
    guard case .nodes(let nodes) = set else { throw Unexpected("no nodes") }
    let snapshot = Self.snapshot(plan)
    let analysis = try analysis(plan, set, samples: 512)
    #expect(analysis.samples == nodes.split.test.count)
    let metrics = analysis.metrics(of: snapshot)
    #expect(metrics[.hsicInput, layer: "blocks.0"] != nil && metrics[.renyiLabel, layer: "blocks.1"] != nil)
    // All features of a node are its pooled ones.
    #expect(metrics[.hsicInput, layer: "blocks.1"] == metrics[.pooledHSICInput, layer: "blocks.1"])
    let picture = try #require(analysis.picture(of: snapshot))
    #expect(picture.labels == nodes.split.test.map { nodes.labels[$0] })
    #expect(try self.analysis(plan, set, samples: 512, threads: 4).metrics(of: snapshot) == metrics)
  }

  @Test func rowsHaveNoClasses() throws {
    var network = DeepLinearConfiguration(features: 6, width: 7, depth: 3)
    network.outputs = 3
    var plan = Plan(name: "regression", seed: 11, encoder: EncoderConfiguration(network))
    plan.method = Plan.Method(
      laps: 1, roundsPerStage: .each(1), initialisation: .random, objective: .regression, alignment: 0)
    plan.method.regression = Plan.Regression(order: .ascending, statistics: .moments)
    let rows = try DataSpec(parsing: "regression:30?inputs=6&targets=3&seed=3")
      .dataset(role: .test, for: plan.encoder.input)
    let snapshot = plan.firstSnapshot()
    let analysis = try analysis(plan, rows)
    let metrics = analysis.metrics(of: snapshot)
    #expect(metrics[.hsicInput, layer: "blocks.0"] != nil && metrics[.hsicLabel, layer: "blocks.0"] == nil)
    #expect(metrics[.renyiInput, layer: "blocks.2"] != nil)
    #expect(try #require(analysis.picture(of: snapshot)).labels == nil)
  }

  @Test func aPictureIsReadAsItWasWritten() throws {
    let plan = Self.plan()
    let picture = try #require(try analysis(plan).picture(of: Self.snapshot(plan)))
    #expect(picture.points.count == 40 && picture.labels?.count == 40)
    #expect(picture.explained[0] >= picture.explained[1] && picture.explained[1] > 0)
    let data = try JSONEncoder().encode(picture)
    #expect(try JSONDecoder().decode(RepresentationPicture.self, from: data) == picture)
    for broken in [
      #"{"points": [[1, 2, 3]], "explained": [0.5, 0.1]}"#, #"{"points": [[1, 2]], "explained": [0.5]}"#,
      #"{"points": [[1, 2]], "explained": [0.5, -0.1]}"#,
      #"{"points": [[1, 2]], "explained": [0.5, 0.1], "labels": [1, 2]}"#,
      #"{"points": [[1, 2]], "explained": [0.5, 0.1], "labels": [-2]}"#,
      "{\"points\": [\(Array(repeating: "[1, 2]", count: 1001).joined(separator: ","))], \"explained\": [0.5, 0.1]}",
    ] {
      #expect(throws: DecodingError.self, "\(broken.prefix(60))") {
        try JSONDecoder().decode(RepresentationPicture.self, from: Data(broken.utf8))
      }
    }
  }

  @Test func theMeanIsOfTheRoundsThatAllRunsHave() throws {
    func report(_ value: Double, rounds: [Int] = [1, 2]) -> AnalysisReport {
      AnalysisReport(
        samples: 8,
        rounds: rounds.map {
          AnalysisReport.Round(stage: 1, round: $0, layers: ["blocks.0": ["hsicInput": value * Double($0)]])
        }, representations: nil)
    }
    let mean = try #require(AnalysisReport(meanOf: [report(1), report(4, rounds: [2, 1]), report(7)]))
    #expect(mean.rounds.map { $0.layers["blocks.0"]?["hsicInput"] } == [4, 8])
    #expect(mean.rounds[1].metrics[.hsicInput, layer: "blocks.0"] == 8)
    #expect(AnalysisReport(meanOf: [report(1), report(4, rounds: [2])])?.rounds.map(\.round) == [2])
    #expect(AnalysisReport(meanOf: []) == nil)
  }
}
