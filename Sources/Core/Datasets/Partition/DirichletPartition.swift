import Engine
import Foundation

extension Partition {
  /// Shares out each class in proportions drawn from Dirichlet(beta), then moves single images from the
  /// largest client to those with fewer than ``minimumImages``, so that a small beta works with many clients.
  static func dirichlet(
    _ beta: Double, labels: [Int], _ classes: Int, clients: Int, _ random: inout RandomNumbers
  ) -> [[Int]] {
    var byClass = [[Int]](repeating: [], count: classes)
    for (index, label) in labels.enumerated() { byClass[label].append(index) }
    var parts = [[Int]](repeating: [], count: clients)
    for images in byClass {
      let shuffled = images.shuffled(using: &random)
      let proportions = random.dirichlet(beta, count: clients)
      var (sum, start) = (0.0, 0)
      for client in 0..<clients {
        sum += proportions[client]
        let end = client == clients - 1 ? images.count : Int((sum * Double(images.count)).rounded())
        // Rounding may carry the sum past 1 by a hair.
        let stop = min(max(end, start), images.count)
        parts[client] += shuffled[start..<stop]
        start = stop
      }
    }
    repair(&parts, &random)
    return parts
  }

  /// Ends because there are at least `clients` x `minimumImages` images: while a client has too few,
  /// the largest has more than enough.
  private static func repair(_ parts: inout [[Int]], _ random: inout RandomNumbers) {
    for client in parts.indices {
      while parts[client].count < minimumImages {
        var largest = 0
        for other in parts.indices where parts[other].count > parts[largest].count { largest = other }
        let taken = parts[largest].remove(at: random.below(parts[largest].count))
        parts[client].append(taken)
      }
    }
  }
}

extension RandomNumbers {
  /// `count` proportions that sum to 1, from the symmetric Dirichlet distribution.
  ///
  /// Computed from logarithms: with a small beta the gamma variables themselves underflow to zero.
  mutating func dirichlet(_ beta: Double, count: Int) -> [Double] {
    let logarithms = (0..<count).map { _ in logGamma(shape: beta) }
    let largest = logarithms.max() ?? 0
    let weights = logarithms.map { exp($0 - largest) }
    let sum = weights.reduce(0, +)
    return weights.map { $0 / sum }
  }

  /// The logarithm of a gamma variable of scale 1 (Marsaglia and Tsang 2000). For a shape below 1 it is
  /// one of shape + 1, times a uniform number to the power of 1 / shape.
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

  /// Uniform in 0 … 1, without the ends, whose logarithms would be infinite or useless.
  private mutating func openUniform() -> Double { (Double(next() >> 11) + 0.5) * 0x1p-53 }
}
