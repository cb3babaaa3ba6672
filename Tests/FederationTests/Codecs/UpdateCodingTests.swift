import Engine
import Federation
import Foundation
import Testing
import Wire

@Suite struct UpdateCodingTests {
  private static let coded = UpdateCodec.allCases.filter { $0 != .plain }
  /// Rows of odd lengths, one of them a vector.
  private static let shapes = [(rows: 13, columns: 37), (rows: 1, columns: 11), (rows: 40, columns: 64)]
  private static let count = 13 * 37 + 11 + 40 * 64

  private let seed = UInt64.random(in: 0...1_000_000)
  private let base: [Float]
  private let update: [Float]

  /// Weights after a round, each changed by about a hundredth.
  init() {
    print("update coding from seed \(seed)")
    var numbers = RandomNumbers(seed, "update coding")
    base = (0..<Self.count).map { _ in numbers.uniform(-1, 1) }
    update = base.map { $0 + numbers.uniform(-0.01, 0.01) }
  }

  private func coding(_ codec: UpdateCodec, share: Double = 0.01) -> UpdateCoding {
    UpdateCoding(codec, Self.shapes, share: share)
  }

  private func roundTrip(_ codec: UpdateCodec, share: Double = 0.01, seed: UInt64 = 1) throws -> [Float] {
    let coding = coding(codec, share: share)
    let bytes = coding.encode(update, base: base, seed: seed)
    #expect(bytes.count <= coding.mostBytes)
    return try coding.decode(bytes, base: base)
  }

  /// As in docs/protocol.md: [first dimension, product of the others]; a vector is one row.
  @Test func rowsFollowFromTheShapes() throws {
    let plan = Plan(encoder: EncoderConfiguration(image: 16, patch: 4, width: 24, depth: 1, heads: 3))
    let model = plan.stage(1).model
    let stem = try #require(model.parts.first { $0.name == "stem" })
    let coding = UpdateCoding(.int8, stem, of: model)
    // cls_token, pos_embed and the bias have one row each, the patches' weights one per output.
    let values = stem.range.count
    #expect(coding.rawBytes == 4 * (1 + 1 + 24 + 1) + values)
  }

  @Test(arguments: [UpdateCodec.plain, .float32]) func nothingIsLost(codec: UpdateCodec) throws {
    #expect(try roundTrip(codec).map(\.bitPattern) == update.map(\.bitPattern))
  }

  @Test func bfloat16KeepsEightBitsOfTheDifference() throws {
    for (decoded, (old, new)) in zip(try roundTrip(.bfloat16), zip(base, update)) {
      #expect(abs(decoded - old - (new - old)) <= abs(new - old) / 256 + 1e-7)
    }
  }

  /// At most one step off, and correct in the mean.
  @Test(arguments: [(UpdateCodec.int8, Float(127)), (.int4, 7)])
  func levelsAreAStepOffAtMostAndRightInTheMean(codec: UpdateCodec, levels: Float) throws {
    var sums = [Double](repeating: 0, count: Self.count)
    let runs = 400
    for run in 0..<runs {
      for (index, value) in try roundTrip(codec, seed: UInt64(run)).enumerated() {
        sums[index] += Double(value - base[index])
      }
    }
    var first = 0
    for length in Self.shapes.flatMap({ Array(repeating: $0.columns, count: $0.rows) }) {
      let row = first..<first + length
      let step = row.map { abs(update[$0] - base[$0]) }.max()! / levels
      for index in row {
        let decoded = sums[index] / Double(runs)
        let exact = Double(update[index] - base[index])
        // A mean of 400 roundings is within six of its standard deviations, which are at most half a step.
        #expect(abs(decoded - exact) < 6 * 0.5 * Double(step) / 20 + 1e-6, "\(index), seed \(seed)")
      }
      first += length
    }
    for (index, value) in try roundTrip(codec).enumerated() {
      #expect(abs(value - update[index]) < 0.0101 / levels + 1e-6)
    }
  }

  @Test func theSameSeedRoundsTheSame() throws {
    #expect(try roundTrip(.int8, seed: 5) == roundTrip(.int8, seed: 5))
    #expect(try roundTrip(.int8, seed: 5) != roundTrip(.int8, seed: 6))
  }

  @Test func topKKeepsTheLargestAndNothingElse() throws {
    let decoded = try roundTrip(.topK, share: 0.1)
    let moved = decoded.indices.filter { decoded[$0] != base[$0] }
    let kept = Int((0.1 * Double(Self.count)).rounded(.up))
    let sizes = zip(update, base).map { abs($0 - $1) }
    let least = sizes.sorted(by: >)[kept - 1]
    #expect(moved.count == kept && moved.allSatisfy { sizes[$0] >= least }, "seed \(seed)")
    for index in moved { #expect(abs(decoded[index] - update[index]) <= sizes[index] / 256 + 1e-7) }
  }

  @Test func whereAllAreAlikeTopKStillKeepsAsManyAsItSays() throws {
    let coding = UpdateCoding(.topK, [(rows: 10, columns: 10)], share: 0.065)
    let zero = [Float](repeating: 0, count: 100)
    let ones = [Float](repeating: 1, count: 100)
    let decoded = try coding.decode(coding.encode(ones, base: zero, seed: 1), base: zero)
    #expect(decoded.count { $0 == 1 } == 7 && decoded.prefix(7).allSatisfy { $0 == 1 })
    #expect(try coding.decode(coding.encode(zero, base: zero, seed: 1), base: zero) == zero)
  }

  @Test(arguments: coded) func whatIsNoNumberStaysNone(codec: UpdateCodec) throws {
    for value in [Float.nan, .infinity, -.infinity] {
      var broken = update
      broken[100] = value
      let coding = coding(codec)
      let decoded = try coding.decode(coding.encode(broken, base: base, seed: 1), base: base)
      #expect(decoded.contains { !$0.isFinite }, "\(value)")
    }
  }

  // MARK: - Invalid bytes

  @Test(arguments: coded) func everyTruncationIsRejected(codec: UpdateCodec) {
    let coding = coding(codec)
    let bytes = coding.encode(update, base: base, seed: 1)
    for length in stride(from: 0, to: bytes.count, by: 7) {
      #expect(throws: UpdateCoding.Failure.self) { try coding.decode(bytes.prefix(length), base: base) }
    }
    #expect(throws: UpdateCoding.Failure.self) { try coding.decode(bytes + [0], base: base) }
  }

  /// Flipped bits are detected by zlib's checksum, or change values; nothing traps.
  @Test(arguments: UpdateCodec.allCases) func noiseTrapsNowhere(codec: UpdateCodec) {
    let coding = coding(codec)
    let bytes = coding.encode(update, base: base, seed: 1)
    var numbers = RandomNumbers(seed, "noise")
    for _ in 0..<300 {
      var damaged = bytes
      for _ in 0...numbers.below(3) {
        damaged[numbers.below(damaged.count)] ^= UInt8(1 << numbers.below(8))
      }
      let decoded = try? coding.decode(damaged, base: base)
      #expect(decoded == nil || decoded?.count == Self.count)
    }
  }

  /// Ten megabytes of zeros in ten kilobytes are rejected before they are decompressed.
  @Test func aBombIsRejected() throws {
    let large = UpdateCoding(.int8, [(rows: 1000, columns: 10_000)], share: 1)
    let zeros = [Float](repeating: 0, count: 10_000_000)
    let bomb = large.encode(zeros, base: zeros, seed: 1)
    #expect(bomb.count < 100_000)
    for codec in Self.coded {
      #expect(throws: UpdateCoding.Failure.self, "\(codec)") { try coding(codec).decode(bomb, base: base) }
    }
  }

  @Test func placesBeyondTheEndAreRejected() throws {
    let (small, large) = (
      UpdateCoding(.topK, [(rows: 1, columns: 10)], share: 0.5),
      UpdateCoding(.topK, [(rows: 1, columns: 1000)], share: 0.005)
    )
    var far = [Float](repeating: 0, count: 1000)
    for index in 0..<5 { far[999 - 100 * index] = 1 }
    let bytes = large.encode(far, base: [Float](repeating: 0, count: 1000), seed: 1)
    #expect(throws: UpdateCoding.Failure.self) {
      try small.decode(bytes, base: [Float](repeating: 0, count: 10))
    }
  }
}
