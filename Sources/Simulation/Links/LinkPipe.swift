import Foundation
import Wire

/// One direction of a client's link: bytes from one socket to the other, at the link's rate and after its delay.
///
/// It reads no faster than the rate, and no further than the delay line has room, so that a sender that is too
/// fast waits as it would on a real link.
struct LinkPipe: Sendable {
  /// How it ended.
  enum Ending: Sendable {
    /// The sender's end was passed on.
    case finished
    /// The receiver is gone, or the task was cancelled.
    case broken
    /// The link was cut.
    case cut
  }

  private let source: ByteConnection
  private let destination: ByteConnection
  private let rate: BitRate
  private let delay: Duration
  private let meter: LossMeter
  private let carried: @Sendable (Int) -> Void
  private let darkness: @Sendable () -> LinkRelay.Darkness?
  private let line: DelayLine

  /// - Parameters:
  ///   - meter: shared with the other direction.
  ///   - darkness: whether the link has gone dark.
  ///   - carried: told how many bytes were handed over each time.
  init(
    from source: ByteConnection, to destination: ByteConnection, rate: BitRate, delay: Duration,
    meter: LossMeter, darkness: @escaping @Sendable () -> LinkRelay.Darkness? = { nil },
    carried: @escaping @Sendable (Int) -> Void
  ) {
    (self.source, self.destination, self.rate, self.delay) = (source, destination, rate, delay)
    (self.meter, self.darkness, self.carried) = (meter, darkness, carried)
    line = DelayLine(capacity: rate.bytes(in: delay) + Self.buffer(rate))
  }

  /// A task that wakes late, by up to 20 ms, must find no hole in the stream.
  private static func buffer(_ rate: BitRate) -> Int { max(rate.bytes(in: .milliseconds(20)), 64 << 10) }

  /// Carries bytes until the sender ends them.
  func run() async -> Ending {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await fill() }
      let ending = await drain()
      group.cancelAll()
      return ending
    }
  }

  private func fill() async {
    let clock = ContinuousClock()
    var pacer = Pacer(rate, at: clock.now)
    while !Task.isCancelled {
      let hasWaited = await line.waitForRoom(pacer.piece)
      if let darkness = darkness() { return await darken(darkness, pacer.piece) }
      guard let piece = try? await source.read(atMost: pacer.piece) else { break }
      let isBacklogged = !hasWaited && !piece.hasWaited
      let passed = pacer.pass(piece.bytes.count, at: clock.now, isBacklogged: isBacklogged)
      line.put(DelayLine.Piece(bytes: piece.bytes, arrival: passed + delay))
      do { try await clock.sleep(until: passed) } catch { return }
    }
    if let darkness = darkness() { return await darken(darkness, pacer.piece) }
    line.put(DelayLine.Piece(bytes: Data(), arrival: clock.now + delay))
  }

  /// Hands over nothing any more, not even the sender's end, until the task is cancelled.
  private func darken(_ darkness: LinkRelay.Darkness, _ piece: Int) async {
    while darkness == .swallowing, (try? await source.read(atMost: piece)) != nil {}
    while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
  }

  private func drain() async -> Ending {
    for await piece in line.pieces {
      do {
        try await ContinuousClock().sleep(until: piece.arrival)
        // What is under way never arrives.
        guard darkness() == nil else { continue }
        guard !piece.bytes.isEmpty else {
          destination.finish()
          return .finished
        }
        let count = meter.take(piece.bytes.count)
        try await destination.write(piece.bytes.prefix(count))
        carried(count)
        guard count == piece.bytes.count else { return .cut }
        line.remove(piece)
      } catch {
        return .broken
      }
    }
    return .broken
  }
}
