/// ρ / 2 ‖w - w_global‖², where w_global are the received weights (FedProx, arXiv 1812.06127, equation 2).
package struct Proximal: WeightPenalty {
  package let name = "proximal"
  package let usesReference = true
  /// ρ.
  let weight: Float

  package func loss(
    _ parameters: borrowing Storage, reference: borrowing Storage, ranges: [Range<Int>],
    adding gradients: borrowing Storage
  ) -> Float {
    var square: Double = 0
    for range in ranges {
      let (w, origin) = (parameters[range].start, reference[range].start)
      let gradient = gradients[range].start
      for index in 0..<range.count {
        let difference = w[index] - origin[index]
        square += Double(difference * difference)
        gradient[index] += weight * difference
      }
    }
    return weight / 2 * Float(square)
  }
}
