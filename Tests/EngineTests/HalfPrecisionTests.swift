import Engine
import Testing

struct HalfPrecisionTests {
  private func roundTrip(_ values: [Float]) -> [Float] {
    let halves = UnsafeMutableRawPointer.allocate(byteCount: 2 * values.count, alignment: 2)
    defer { halves.deallocate() }
    var result = [Float](repeating: -1, count: values.count)
    HalfPrecision.encode(values, into: halves, count: values.count)
    result.withUnsafeMutableBufferPointer {
      if let start = $0.baseAddress { HalfPrecision.decode(halves, into: start, count: values.count) }
    }
    return result
  }

  @Test(arguments: [1, 7, 8, 21]) func keepsElevenBits(count: Int) {
    let seed: UInt64 = 91
    var random = RandomNumbers(seed)
    let values = (0..<count).map { _ in random.normal() * 30 }
    for (a, b) in zip(roundTrip(values), values) {
      #expect(abs(a - b) <= abs(b) * 0x1p-11, "seed \(seed)")
    }
  }

  @Test func keepsWhatItCanExactly() {
    let values: [Float] = [0, 1, -2, 0.5, 65504, -65504, 1024, 0.25, 3]
    #expect(roundTrip(values) == values)
  }
}
