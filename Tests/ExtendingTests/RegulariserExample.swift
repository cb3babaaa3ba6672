import Engine
import Federation

/// λ Σ |w| over the trained weights (lasso, Tibshirani 1996), which draws small weights towards 0.
package struct Lasso: WeightPenalty {
  package let name = "lasso"
  package let usesReference = false
  /// λ, greater than 0.
  let weight: Float

  package init(weight: Float) { self.weight = weight }

  /// Its gradient is λ sign(w), and 0 for a weight of 0.
  package func loss(
    _ parameters: borrowing Storage, reference: borrowing Storage, ranges: [Range<Int>],
    adding gradients: borrowing Storage
  ) -> Float {
    var sum: Double = 0
    for range in ranges {
      let (w, gradient) = (parameters[range].start, gradients[range].start)
      for index in 0..<range.count {
        sum += Double(w[index].magnitude)
        gradient[index] += w[index] == 0 ? 0 : w[index] < 0 ? -weight : weight
      }
    }
    return weight * Float(sum)
  }
}

/// The section `method.lasso` of a plan.
package struct LassoSettings: RegulariserSettings {
  package static let name = "lasso"
  package static let fields = [
    PlanField("weight", \Self.weight, .number(.above(0, to: 1000)), unit: "x loss", "Weight of Σ |w|.")
  ]

  package var weight: Float = 0.01

  package init() {}
  package func regulariser(_ plan: Plan, stage: Int) -> Regulariser { .weights(Lasso(weight: weight)) }
}
