import Engine

/// The information bottleneck (GreedyDIB, arXiv 2510.27651).
package struct BottleneckSettings: RegulariserSettings {
  package static let name = "bottleneck"
  package static let fields = [
    PlanField(
      "weight", \Self.weight, .number(.above(0, to: PlanLimits.weight)), unit: "x bits",
      "Weight of the information or the entropy, which is at most log2 of the batch."),
    PlanField(
      "kind", \Self.kind, .choice,
      "What is small: the information between inputs and features, or the entropy of the features."),
    PlanField(
      "alpha", \Self.alpha, .number(.from(1.0001, to: 100)),
      "Order of the entropy; 2 needs no eigenvalues, and is the fastest."),
    PlanField(
      "kernel", \Self.kernel, .choice,
      "Similarity of two samples: gaussian, or that of the code of DIB."),
  ]

  /// The weight β. Default 0.01, as in the code of DIB.
  package var weight: Float = 0.01
  /// The quantity. Default information, as in the paper.
  package var kind = RenyiBottleneck.Term.information
  /// The order α. Default 1.01, as in the code of DIB.
  package var alpha: Float = 1.01
  /// The kernel. Default gaussian, whose information does not depend on the scale of the features.
  package var kernel = RenyiBottleneck.Kernel.gaussian

  package init() {}

  package func regulariser(_ plan: Plan, stage: Int) -> Regulariser {
    .features(
      Bottleneck(RenyiBottleneck.Settings(weight: weight, term: kind, alpha: Double(alpha), kernel: kernel)))
  }
}
