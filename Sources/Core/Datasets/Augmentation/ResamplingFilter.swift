/// Where each output position of a resize in one dimension reads, and with which weights: bilinear with
/// antialiasing, as torchvision's `resize` does on tensors (PyTorch's `upsample_bilinear2d_aa`).
///
/// The triangle is one input pixel wide to each side, and wider by the scale when the image shrinks, so
/// that every input pixel counts.
final class ResamplingFilter {
  /// The first input position, per output position.
  let starts: UnsafeMutablePointer<Int>
  /// How many input positions, per output position.
  let counts: UnsafeMutablePointer<Int>
  /// `taps` weights per output position, of which the first `counts` are set; they sum to 1.
  let weights: UnsafeMutablePointer<Float>
  private(set) var taps = 0

  let longestSide: Int

  /// Memory for any input and output of up to `longestSide` positions.
  init(longestSide: Int) {
    self.longestSide = longestSide
    starts = .allocate(capacity: longestSide)
    counts = .allocate(capacity: longestSide)
    weights = .allocate(capacity: 6 * longestSide)
  }

  deinit {
    starts.deallocate()
    counts.deallocate()
    weights.deallocate()
  }

  /// Prepares for `input` positions that become `output`.
  func prepare(from input: Int, to output: Int) {
    precondition(
      input > 0 && output > 0 && max(input, output) <= longestSide,
      "from \(input) to \(output) pixels with scratch for \(longestSide)")
    let scale = Float(input) / Float(output)
    let support = max(scale, 1)
    // No more than 2 (support + 1) + 1 positions, so 2 x input + 3 x output weights at most, plus rounding.
    taps = min(2 * Int(support.rounded(.up)) + 1, input)
    precondition(taps * output <= 6 * longestSide, "\(taps) weights for \(output) positions")
    for position in 0..<output {
      let centre = scale * (Float(position) + 0.5)
      let start = max(Int(centre - support + 0.5), 0)
      let count = min(min(Int(centre + support + 0.5), input) - start, taps)
      let row = weights + position * taps
      var sum: Float = 0
      for tap in 0..<count {
        row[tap] = max(1 - abs(Float(tap + start) - centre + 0.5) / support, 0)
        sum += row[tap]
      }
      for tap in 0..<count { row[tap] /= sum }
      starts[position] = start
      counts[position] = count
    }
  }
}
