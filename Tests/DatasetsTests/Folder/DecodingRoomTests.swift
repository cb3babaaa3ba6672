import Datasets
import Engine
import Synchronization
import Testing

@Suite struct DecodingRoomTests {
  /// Whoever decodes side by side keeps to the limit, unless one alone is beyond it; and all get their turn.
  @Test func manyAtOnceKeepToTheLimit() {
    let seed = UInt64.random(in: 0..<(1 << 40))
    var numbers = RandomNumbers(seed)
    let sizes = (0..<400).map { _ in Int.random(in: 0...DecodingRoom.bytes * 5 / 4, using: &numbers) }
    let room = DecodingRoom()
    let state = Mutex((bytes: 0, decoders: 0, done: 0))
    Workers(8).run(sizes.count) { index, _ in
      room.with(sizes[index]) {
        state.withLock {
          ($0.bytes, $0.decoders) = ($0.bytes + sizes[index], $0.decoders + 1)
          #expect($0.bytes <= DecodingRoom.bytes || $0.decoders == 1, "seed \(seed)")
        }
        state.withLock {
          ($0.bytes, $0.decoders, $0.done) = ($0.bytes - sizes[index], $0.decoders - 1, $0.done + 1)
        }
      }
    }
    #expect(state.withLock { $0.done } == sizes.count)
  }

  @Test func theMostIsWhatTheLimitOrTheLargestAllows() {
    #expect(DecodingRoom.most(4, largest: 1000) == 4000)
    #expect(DecodingRoom.most(64, largest: 12_000_000) == DecodingRoom.bytes)
    #expect(DecodingRoom.most(4, largest: 2 * DecodingRoom.bytes) == 2 * DecodingRoom.bytes)
  }
}
