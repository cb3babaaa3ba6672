import TestSupport
import Engine
import Federation
import Foundation
import Server
import Testing

@Suite struct UpdateArrivalTests {
  private func offer(_ bytes: Data) -> UpdateOffer {
    UpdateOffer(
      key: RoundKey(stage: 1, round: 1), base: Digest(of: Data()), digest: Digest(of: bytes),
      bytes: bytes.count,
      samples: 1, steps: 1, loss: 1, seconds: 1)
  }

  /// Passes bytes in random pieces, which may split values.
  private func arrive(_ bytes: Data, _ arrival: UpdateArrival, _ numbers: inout RandomNumbers, step: Int)
    throws
  {
    var start = 0
    while start < bytes.count {
      let end = min(start + step * Int.random(in: 1...9, using: &numbers), bytes.count)
      // A slice whose bytes are unaligned for Float.
      try arrival.take((Data([7]) + bytes[start..<end]).dropFirst(), at: start)
      start = end
    }
  }

  @Test func aReceiptSaysWhatReadingWouldFind() async throws {
    let seed = UInt64.random(in: 0..<(1 << 40))
    var numbers = RandomNumbers(seed)
    try await withTemporaryFolder { folder in
      let (arrival, spool) = (UpdateArrival(), try UpdateSpool(folder))
      for step in [1, 4, 64] {
        for bad in [Float.nan, .infinity, -.infinity, 1] {
          var values = (0..<100).map { _ in Float.random(in: -1...1, using: &numbers) }
          values[Int.random(in: 0..<100, using: &numbers)] = bad
          let bytes = values.data
          let offer = offer(bytes)
          arrival.begin(in: try spool.open(offer, from: "a"))
          try arrive(bytes, arrival, &numbers, step: step)
          let receipt = arrival.finish(offer)
          #expect(receipt?.digest == offer.digest, "seed \(seed), step \(step)")
          #expect(try spool.arrived(offer, from: "a").bytes() == bytes, "seed \(seed), step \(step)")
          if step > 1 {
            #expect(receipt?.largest?.isFinite == bad.isFinite, "seed \(seed), step \(step), \(bad)")
          } else if let largest = receipt?.largest {
            #expect(largest.isFinite == bad.isFinite, "seed \(seed), \(bad)")
          }
        }
      }
    }
  }

  @Test func whatWasBegunOnAnotherConnectionHasNoReceipt() async throws {
    let bytes = Data((0..<64).map { UInt8($0) })
    let offer = offer(bytes)
    try await withTemporaryFolder { folder in
      let (arrival, spool) = (UpdateArrival(), try UpdateSpool(folder))
      arrival.begin(in: try spool.open(offer, from: "a"))
      try arrival.take(bytes[32...], at: 32)
      #expect(arrival.finish(offer) == nil)
      arrival.begin(in: try spool.open(offer, from: "a"))
      #expect(arrival.finish(offer) == nil)
    }
  }

  /// A second transfer on the same connection does not depend on the first.
  @Test func beginningAgainForgets() async throws {
    let (first, second) = (Data([1, 2, 3, 4]), Data([5, 6, 7, 8]))
    try await withTemporaryFolder { folder in
      let (arrival, spool) = (UpdateArrival(), try UpdateSpool(folder))
      arrival.begin(in: try spool.open(offer(first), from: "a"))
      try arrival.take(first[..<2], at: 0)
      arrival.begin(in: try spool.open(offer(second), from: "a"))
      try arrival.take(second, at: 0)
      #expect(arrival.finish(offer(second))?.digest == Digest(of: second))
      #expect(try spool.arrived(offer(first), from: "a").count == 2)
    }
  }
}
