import Engine
import Testing

/// A tensor that can be varied, and the claimed gradient of a number with respect to it.
struct Differentiable {
  let name: String
  let values: Matrix
  let gradient: [Float]
  /// Whether the gradient is mathematically zero (a bias before a batch normalisation): then its rounding error is
  /// compared with 1 instead of with itself.
  var vanishes = false

  init(_ name: String, _ values: Matrix, gradient: [Float], vanishes: Bool = false) {
    precondition(gradient.count == values.count, "\(name): a gradient of \(gradient.count)")
    (self.name, self.values, self.gradient, self.vanishes) = (name, values, gradient, vanishes)
  }
}

/// Compares gradients with directional derivatives: central differences in random directions and in the direction of
/// the claimed gradient.
///
/// A long step suffers from curvature and from ReLUs that switch, a short one from rounding. Steps are halved
/// repeatedly; the pair of consecutive steps that agree best is extrapolated (Richardson). The claimed gradient does
/// not influence the choice.
///
/// The direction of the claimed gradient makes the test sharp: the derivative in that direction is the gradient's
/// length, so that a factor of 1.05 is an error of 0.05, whatever the numbers. The random directions detect missing
/// components.
struct FiniteDifferences {
  let seed: UInt64
  /// The root mean square change of a tensor's elements in the longest step, and the number of halvings.
  var step: Float = 2e-2
  var halvings = 8
  var tolerance = 0.01

  /// Expects every gradient to agree with the differences of `value`.
  func expect(
    _ tensors: [Differentiable], sourceLocation: SourceLocation = #_sourceLocation, of value: () -> Double
  ) {
    for tensor in tensors {
      let error = error(of: tensor, value)
      #expect(
        error < tolerance, "gradient of \(tensor.name) is off by \(error), seed \(seed)",
        sourceLocation: sourceLocation)
    }
  }

  /// Returns the largest error in any direction, relative to the expected derivative in such a direction: the length of
  /// the gradient.
  func error(of tensor: Differentiable, _ value: () -> Double) -> Double {
    let gradient = tensor.gradient.map(Double.init)
    let length = gradient.reduce(0) { $0 + $1 * $1 }.squareRoot()
    guard length.isFinite else { return .infinity }
    var random = RandomNumbers(seed, "directions of \(tensor.name)")
    var directions = (0..<3).map { _ in gradient.map { _ in random.normal() } }
    if !tensor.vanishes && length > 0 {
      let scale = Double(gradient.count).squareRoot() / length
      directions.append(gradient.map { Float($0 * scale) })
    }
    var largest = 0.0
    for direction in directions {
      let claimed = zip(gradient, direction).reduce(0) { $0 + $1.0 * Double($1.1) }
      let measured = derivative(of: tensor.values, along: direction, value)
      let scale = tensor.vanishes ? 1 : max(length, abs(claimed), 1e-6)
      let error = abs(measured - claimed) / scale
      largest = max(largest, error.isNaN ? .infinity : error)
    }
    return largest
  }

  private func derivative(of values: Matrix, along direction: [Float], _ value: () -> Double) -> Double {
    let start = values.array()
    func difference(_ step: Float) -> Double {
      values.set(zip(start, direction).map { $0 + step * $1 })
      let above = value()
      values.set(zip(start, direction).map { $0 - step * $1 })
      let below = value()
      return (above - below) / (2 * Double(step))
    }
    func disagreement(_ pair: (Double, Double)) -> Double {
      abs(pair.0 - pair.1) / (abs(pair.0) + abs(pair.1) + 1e-6)
    }
    let differences = (0...halvings).map { difference(step / Float(1 << $0)) }
    values.set(start)
    let pairs = zip(differences, differences.dropFirst())
    let (coarse, fine) = pairs.min { disagreement($0) < disagreement($1) } ?? (.nan, .nan)
    return (4 * fine - coarse) / 3
  }
}

extension Matrix {
  /// Sets the elements in row-major order, with any stride.
  func set(_ values: [Float]) {
    precondition(values.count == count, "\(values.count) values for \(rows) x \(columns)")
    for r in 0..<rows { for c in 0..<columns { self[r, c] = values[r * columns + c] } }
  }

  /// Draws the elements from a normal distribution.
  func draw(_ random: inout RandomNumbers, deviation: Float = 1) {
    set((0..<count).map { _ in random.normal() * deviation })
  }

  /// The elements in Double, in row-major order.
  var doubles: [Double] { array().map(Double.init) }

  /// The bits of the elements, for exact comparison, in which NaN equals itself.
  var bits: [UInt32] { array().map(\.bitPattern) }

  /// Returns Σ self ⊙ other, in Double.
  func inner(_ other: Matrix) -> Double { zip(doubles, other.doubles).reduce(0) { $0 + $1.0 * $1.1 } }
}
