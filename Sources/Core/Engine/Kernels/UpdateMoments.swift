/// Sums over the weights of an update u and a mean update v, in float64.
package struct UpdateMoments: Sendable, Hashable {
  /// |u|², |v|², u·v and |u - v|².
  package private(set) var ownSquare = 0.0
  package private(set) var meanSquare = 0.0
  package private(set) var product = 0.0
  package private(set) var distanceSquare = 0.0

  package init() {}

  /// Adds `count` weights: u = weights - base, v = mean - base. The order of the sums depends on `count` alone.
  package mutating func add(
    _ weights: UnsafePointer<Float>, mean: UnsafePointer<Float>, base: UnsafePointer<Float>, count: Int
  ) {
    typealias Lanes = SIMD8<Double>
    var (own, other, both, apart) = (Lanes.zero, Lanes.zero, Lanes.zero, Lanes.zero)
    func load(_ pointer: UnsafePointer<Float>, _ index: Int) -> Lanes {
      Lanes(UnsafeRawPointer(pointer + index).loadUnaligned(as: SIMD8<Float>.self))
    }
    var index = 0
    while index + Lanes.scalarCount <= count {
      let start = load(base, index)
      let (u, v) = (load(weights, index) - start, load(mean, index) - start)
      own += u * u
      other += v * v
      both += u * v
      apart += (u - v) * (u - v)
      index += Lanes.scalarCount
    }
    ownSquare += own.sum()
    meanSquare += other.sum()
    product += both.sum()
    distanceSquare += apart.sum()
    while index < count {
      let start = Double(base[index])
      let (u, v) = (Double(weights[index]) - start, Double(mean[index]) - start)
      ownSquare += u * u
      meanSquare += v * v
      product += u * v
      distanceSquare += (u - v) * (u - v)
      index += 1
    }
  }

  /// Adds the sums over other weights.
  package mutating func add(_ other: UpdateMoments) {
    ownSquare += other.ownSquare
    meanSquare += other.meanSquare
    product += other.product
    distanceSquare += other.distanceSquare
  }

  /// The length of u - v.
  package var distance: Double { distanceSquare.squareRoot() }

  /// The cosine of the angle between u and v, -1 … 1; nil if one of them is 0.
  package var cosine: Double? {
    let lengths = ownSquare.squareRoot() * meanSquare.squareRoot()
    return lengths > 0 && lengths.isFinite ? min(max(product / lengths, -1), 1) : nil
  }
}
