import Federation

extension Metric {
  /// The root mean square of a round's trained weights: it grows long before a training diverges.
  package static let weightScale = Metric(
    "weightScale", title: "Weights", line: "model", heading: "weights",
    help: "Root mean square of the trained weights", digits: 4, measure: { $0.weightScales })
}

extension Snapshot {
  /// ``Metric/weightScale`` of each trained layer, and of all of them together.
  package var weightScales: RoundMetrics {
    var (metrics, total, count): (RoundMetrics, Double, Int) = (RoundMetrics(), 0, 0)
    for version in trained(keeping: stage.content.blocks) {
      let weights = floats(version.digest)
      let square = weights.reduce(0.0) { $0 + Double($1) * Double($1) }
      metrics[.weightScale, layer: version.name] = (square / Double(weights.count)).squareRoot()
      (total, count) = (total + square, count + weights.count)
    }
    metrics[.weightScale] = (total / Double(count)).squareRoot()
    return metrics
  }
}
