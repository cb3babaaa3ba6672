import Engine
import Testing
import Wire

@Suite struct SilenceWatchTests {
  private typealias Signs = SilenceWatch.Signs
  private static let heartbeat = Duration.seconds(10)
  private static let limit = heartbeat * 3

  /// Checks `signs` at the times that the watch requests. Returns when the silence was noticed; nil if not within
  /// `most`.
  private func noticed(within most: Duration, _ signs: (Duration) -> Signs) -> Duration? {
    var (watch, time) = (SilenceWatch(Self.limit, signs(.zero), at: .zero), Duration.zero)
    while time < most {
      guard let next = watch.look(signs(time), at: time) else { return time }
      #expect(next > time, "it would look for ever")
      time = next
    }
    return nil
  }

  /// A peer that sends every heartbeat is never cut; one that has stopped is cut after three.
  @Test(arguments: [0, 9.9, 10, 25] as [Double]) func afterThreeHeartbeatsWithoutAByte(last: Double) {
    let stopped = Duration.seconds(last)
    #expect(noticed(within: .seconds(1000)) { Signs(heard: min($0, stopped)) } == stopped + Self.limit)
    #expect(
      noticed(within: .seconds(1000)) { Signs(heard: .seconds(($0.seconds / 10).rounded(.down) * 10)) }
        == nil)
  }

  /// Progress of an upload over a slow link is a sign of life, since no answer comes before its end.
  @Test func aSlowUploadIsNoSilence() {
    let bytes = 1_000_000
    let signs = { (time: Duration) -> Signs in
      let acknowledged = min(Int(time.seconds * 5000), bytes)
      return Signs(heard: .zero, acknowledged: acknowledged, onTheirWay: bytes - acknowledged)
    }
    #expect(noticed(within: .seconds(199), signs) == nil)
    // After the end of the upload, an answer is due.
    let end = noticed(within: .seconds(1000), signs)
    #expect(
      end.map { $0 > .seconds(200) && $0 <= .seconds(200) + Self.limit } == true, "\(String(describing: end))"
    )
  }

  /// The time of the last accepted byte is known to a quarter of a heartbeat, and never estimated too late.
  @Test func anUploadThatIsStuckIsNoticedWithinThreeHeartbeats() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var numbers = RandomNumbers(seed)
    for _ in 0..<200 {
      let stuck = Duration.seconds(Double(numbers.uniform()) * 300)
      let end = noticed(within: .seconds(1000)) { time in
        Signs(heard: .zero, acknowledged: Int(min(time, stuck).seconds * 5000), onTheirWay: 100_000)
      }
      let time = try #require(end, "seed \(seed)")
      #expect(time <= max(stuck, .zero) + Self.limit, "seed \(seed): stuck at \(stuck), noticed at \(time)")
      #expect(
        time >= min(stuck, Self.limit) && time >= stuck + Self.limit - Self.heartbeat,
        "seed \(seed): \(stuck), \(time)")
    }
  }

  /// A process that hangs: its kernel acknowledges every heartbeat, but no answer comes.
  @Test func acknowledgedHeartbeatsAreNoLife() {
    let end = noticed(within: .seconds(1000)) {
      Signs(heard: .zero, acknowledged: Int($0.seconds) * 100)
    }
    #expect(end == Self.limit)
  }

  /// Bytes that have arrived and are not read: this end is late, not the other.
  @Test func whatWaitsToBeReadIsNoSilence() {
    let signs = { (time: Duration) in Signs(heard: .zero, unread: time < .seconds(100) ? 1 : 0) }
    let end = noticed(within: .seconds(1000), signs)
    #expect(
      end.map { $0 > .seconds(100) && $0 <= .seconds(100) + Self.limit } == true, "\(String(describing: end))"
    )
  }
}
