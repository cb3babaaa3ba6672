import Datasets
import Engine
import Synchronization
import Testing

@Suite struct DecoderMemoryLimitTests {
  /// Concurrent decoders keep to the limit, unless a single one exceeds it, and all of them get their turn.
  @Test func manyAtOnceKeepToTheLimit() {
    let seed = UInt64.random(in: 0..<(1 << 40))
    var numbers = RandomNumbers(seed)
    let sizes = (0..<400).map { _ in Int.random(in: 0...DecoderMemoryLimit.bytes * 5 / 4, using: &numbers) }
    let limit = DecoderMemoryLimit()
    let state = Mutex((bytes: 0, decoders: 0, done: 0))
    Workers(8).run(sizes.count) { index, _ in
      limit.with(sizes[index]) {
        state.withLock {
          ($0.bytes, $0.decoders) = ($0.bytes + sizes[index], $0.decoders + 1)
          #expect($0.bytes <= DecoderMemoryLimit.bytes || $0.decoders == 1, "seed \(seed)")
        }
        state.withLock {
          ($0.bytes, $0.decoders, $0.done) = ($0.bytes - sizes[index], $0.decoders - 1, $0.done + 1)
        }
      }
    }
    #expect(state.withLock { $0.done } == sizes.count)
  }

  @Test func theMostIsWhatTheLimitOrTheLargestAllows() {
    #expect(DecoderMemoryLimit.most(4, largest: 1000) == 4000)
    #expect(DecoderMemoryLimit.most(64, largest: 12_000_000) == DecoderMemoryLimit.bytes)
    #expect(DecoderMemoryLimit.most(4, largest: 2 * DecoderMemoryLimit.bytes) == 2 * DecoderMemoryLimit.bytes)
  }
}
