import Engine
import Foundation

extension Partition {
  /// Divides each class in proportions drawn from Dirichlet(beta), deals what has no label, then moves single examples
  /// from the largest client to
  /// those with fewer than ``minimum``, so that a small beta works with many clients.
  static func dirichlet(
    _ beta: Double, labels: [Int], _ classes: Int, clients: Int, _ random: inout RandomNumbers
  ) -> [[Int]] {
    var byClass = [[Int]](repeating: [], count: classes)
    for (index, label) in labels.enumerated() where label >= 0 { byClass[label].append(index) }
    var parts = [[Int]](repeating: [], count: clients)
    for images in byClass {
      let shuffled = images.shuffled(using: &random)
      let proportions = random.dirichlet(beta, count: clients)
      var (sum, start) = (0.0, 0)
      for client in 0..<clients {
        sum += proportions[client]
        let end = client == clients - 1 ? images.count : Int((sum * Double(images.count)).rounded())
        // Rounding may raise the sum slightly above 1.
        let stop = min(max(end, start), images.count)
        parts[client] += shuffled[start..<stop]
        start = stop
      }
    }
    dealUnlabelled(labels, to: &parts, &random)
    repair(&parts, &random)
    return parts
  }

  /// Moves images from the largest client to those with too few. It terminates because there are at least `clients` x
  /// `minimum` items: while a client has too few, the largest has more than enough.
  static func repair(_ parts: inout [[Int]], _ random: inout RandomNumbers) {
    for client in parts.indices {
      while parts[client].count < minimum {
        var largest = 0
        for other in parts.indices where parts[other].count > parts[largest].count { largest = other }
        let taken = parts[largest].remove(at: random.below(parts[largest].count))
        parts[client].append(taken)
      }
    }
  }
}

extension RandomNumbers {
  /// Returns `count` proportions with sum 1 from the symmetric Dirichlet distribution.
  ///
  /// It computes with logarithms, because the gamma variables underflow to zero if beta is small.
  mutating func dirichlet(_ beta: Double, count: Int) -> [Double] {
    let logarithms = (0..<count).map { _ in logGamma(shape: beta) }
    let largest = logarithms.max() ?? 0
    let weights = logarithms.map { exp($0 - largest) }
    let sum = weights.reduce(0, +)
    return weights.map { $0 / sum }
  }

  /// Returns the logarithm of a gamma variable of scale 1 (Marsaglia and Tsang 2000). For a shape below 1, the variable
  /// is one of shape + 1, times a uniform number to the power of 1 / shape.
  mutating func logGamma(shape: Double) -> Double {
    if shape < 1 { return logGamma(shape: shape + 1) + log(openUniform()) / shape }
    let d = shape - 1.0 / 3
    let c = 1 / (9 * d).squareRoot()
    while true {
      let x = Double(normal())
      let root = 1 + c * x
      guard root > 0 else { continue }
      let v = root * root * root
      if log(openUniform()) < 0.5 * x * x + d - d * v + d * log(v) { return log(d) + log(v) }
    }
  }

  /// Returns a uniform number in 0 … 1, without the ends, whose logarithms would be infinite or useless.
  private mutating func openUniform() -> Double { (Double(next() >> 11) + 0.5) * 0x1p-53 }
}
