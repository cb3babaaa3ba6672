/// Limited-memory BFGS (Liu and Nocedal 1989) with Armijo backtracking, for small smooth convex problems.
enum LBFGS {
  /// A step and the change of the gradient over it.
  private struct Pair {
    let step: [Float]
    let change: [Float]
    let curvature: Double
  }

  /// Returns a point near the minimum of `objective`, starting from `start`.
  static func minimise(
    _ start: [Float], iterations: Int, memory: Int = 10,
    _ objective: ([Float]) -> (value: Double, gradient: [Float])
  ) -> [Float] {
    var point = start
    var (value, gradient) = objective(point)
    var pairs: [Pair] = []
    for _ in 0..<iterations {
      let direction = direction(gradient, pairs)
      let slope = dot(gradient, direction)
      guard slope < -1e-12 else { break }
      var rate: Float = pairs.isEmpty ? 1 / max(1, Float(dot(gradient, gradient).squareRoot())) : 1
      var next = moved(point, direction, rate)
      var (nextValue, nextGradient) = objective(next)
      while nextValue > value + 1e-4 * Double(rate) * slope && rate > 1e-8 {
        rate /= 2
        next = moved(point, direction, rate)
        (nextValue, nextGradient) = objective(next)
      }
      guard nextValue < value else { break }
      let pair = pair(from: point, to: next, gradient, nextGradient)
      // A pair without positive curvature would make the next direction an ascent direction.
      if pair.curvature > 1e-10 { pairs.append(pair) }
      if pairs.count > memory { pairs.removeFirst() }
      let gain = value - nextValue
      (point, value, gradient) = (next, nextValue, nextGradient)
      if gain < 1e-7 * max(1, abs(value)) { break }
    }
    return point
  }

  /// Returns -H·gradient, computed with the two-loop recursion.
  private static func direction(_ gradient: [Float], _ pairs: [Pair]) -> [Float] {
    var q = gradient.map { -$0 }
    var weights: [Double] = []
    for pair in pairs.reversed() {
      let weight = dot(pair.step, q) / pair.curvature
      weights.append(weight)
      add(pair.change, to: &q, scale: -weight)
    }
    if let last = pairs.last {
      let scale = Float(last.curvature / dot(last.change, last.change))
      for index in q.indices { q[index] *= scale }
    }
    for (pair, weight) in zip(pairs, weights.reversed()) {
      add(pair.step, to: &q, scale: weight - dot(pair.change, q) / pair.curvature)
    }
    return q
  }

  private static func pair(from a: [Float], to b: [Float], _ ga: [Float], _ gb: [Float]) -> Pair {
    let step = zip(b, a).map { $0 - $1 }
    let change = zip(gb, ga).map { $0 - $1 }
    return Pair(step: step, change: change, curvature: dot(step, change))
  }

  private static func moved(_ point: [Float], _ direction: [Float], _ rate: Float) -> [Float] {
    zip(point, direction).map { $0 + rate * $1 }
  }

  private static func dot(_ a: [Float], _ b: [Float]) -> Double {
    var sum = 0.0
    for index in a.indices { sum += Double(a[index]) * Double(b[index]) }
    return sum
  }

  private static func add(_ a: [Float], to b: inout [Float], scale: Double) {
    for index in a.indices { b[index] += Float(scale) * a[index] }
  }
}
