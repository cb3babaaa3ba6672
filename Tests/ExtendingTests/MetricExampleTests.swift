import Engine
import Federation
import Foundation
import Support
import Testing

@Suite struct MetricExampleTests {
  private let stage = Stage(
    .layerWise, index: 2, TinyViT.encoder, objective: .contrastive(TinyViT.heads))

  /// Returns the parameters of the stage with one value for each part.
  private func snapshot(_ values: [Float]) -> Snapshot {
    let parameters = Storage(stage.model.layout)
    for (part, value) in zip(stage.model.parts, values) { Elementwise.fill(parameters[part.range], value) }
    return Snapshot(stage, parameters)
  }

  @Test func measuresTheTrainedLayers() throws {
    #expect(stage.model.parts.map(\.name) == ["stem", "blocks.0", "blocks.1", "norm", "projector"])
    let metrics = snapshot([9, 9, 2, -3, 4]).weightScales
    #expect(metrics.layers.keys.sorted() == ["blocks.1", "norm", "projector"])
    #expect(metrics[.weightScale, layer: "blocks.1"] == 2 && metrics[.weightScale, layer: "norm"] == 3)
    let counts = stage.parts.map { Double($0.range.count) }
    let square = zip(counts, [4, 9, 16]).reduce(0) { $0 + $1.0 * $1.1 } / counts.reduce(0, +)
    let whole = try #require(metrics[.weightScale])
    #expect(abs(whole * whole - square) < 1e-9)
  }

  @Test func theServerMeasuresIt() throws {
    let measure = try #require(Metric.weightScale.measure)
    let snapshot = snapshot([9, 9, 2, -3, 4])
    #expect(measure(snapshot) == snapshot.weightScales)
  }

  /// A row of the round and one of each layer, as in the database.
  @Test func isARowOfTheRoundAndOfEachLayer() {
    let metrics = snapshot([9, 9, 2, 3, 4]).weightScales
    #expect(metrics.rows.map(\.name) == Array(repeating: "weightScale", count: 4))
    #expect(metrics.rows.map(\.layer) == [nil, "blocks.1", "norm", "projector"])
    #expect(metrics.rows.allSatisfy { $0.client == nil })
    var (read, round) = (RoundMetrics(), RoundMetrics())
    for row in metrics.rows { read.add(row) }
    #expect(read == metrics)
    round[.loss] = 1
    round.merge(metrics)
    #expect(round[.loss] == 1 && round[.weightScale] == metrics[.weightScale])
  }

  /// In JSON the metric is a field of the round, and one of each layer. The field of the round is read only for
  /// ``Metric/all``.
  @Test func isAFieldInJSON() throws {
    var metrics = snapshot([9, 9, 2, 3, 4]).weightScales
    metrics[.loss] = 1
    let data = try JSON.stored(metrics)
    let fields = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    #expect(fields["weightScale"] as? Double == metrics[.weightScale])
    let read: RoundMetrics = try JSON.read(from: data)
    #expect(read.layers == metrics.layers && read[.loss] == 1)
    #expect((read[.weightScale] == nil) == !Metric.all.contains(.weightScale))
  }

  /// Weights that are not finite have no value.
  @Test func nothingIsKeptThatIsNotFinite() {
    let metrics = snapshot([9, 9, .infinity, 3, 4]).weightScales
    #expect(metrics[.weightScale] == nil && metrics[.weightScale, layer: "blocks.1"] == nil)
    #expect(metrics[.weightScale, layer: "norm"] == 3)
  }

  @Test func itsNameInPrometheusFollowsFromItsName() {
    #expect(Metric.weightScale.exportedName == "last_round_weight_scale")
  }
}
