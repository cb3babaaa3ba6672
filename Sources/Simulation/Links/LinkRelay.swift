import Engine
import Foundation
import Synchronization
import Wire

/// A client's link to its server: listens in the server's place, and passes on what both say in the link's shape.
///
/// Every connection has the link's rate to itself: a client has one at a time.
package final class LinkRelay: Sendable {
  /// What it has done so far.
  package struct Counts: Sendable, Hashable {
    /// Bytes handed over, from the client to the server and back.
    package fileprivate(set) var up = 0
    package fileprivate(set) var down = 0
    /// Connections that were cut.
    package fileprivate(set) var cuts = 0
  }

  /// Where the client finds it.
  package var endpoint: Endpoint { listener.endpoint }
  package var counts: Counts { state.withLock { $0 } }

  private let listener: Listener
  private let server: Endpoint
  private let shape: LinkShape
  private let seed: UInt64
  private let state = Mutex(Counts())
  /// Up to which connection they have gone dark, and how.
  private let dark = Mutex<(last: Int, how: Darkness)?>(nil)
  private let connections = Atomic(0)

  /// How a link that carries nothing any more treats what is sent into it.
  package enum Darkness: Sendable, Hashable, CaseIterable {
    /// It takes nothing, like a cable that is pulled.
    case stuck
    /// It takes all, as something on the way does that has forgotten the connection and does not say so.
    case swallowing
  }

  /// As on Ethernet, with next to nothing between the sender and the link: what a kernel holds it has counted as
  /// sent, and signs of life wait behind it.
  private static func limits(_ rate: BitRate) -> SocketLimits {
    SocketLimits(segment: 1460, unread: Int32(min(max(rate.bytes(in: .milliseconds(10)), 4 << 10), 64 << 10)))
  }

  /// Listens on a loopback port of its own. Throws ``WireError/address(_:reason:)``.
  ///
  /// - Parameter seed: where it is cut follows from it, connection by connection.
  package init(_ shape: LinkShape, to server: Endpoint, seed: UInt64) async throws(WireError) {
    (self.shape, self.server, self.seed) = (shape, server, seed)
    listener = try await Listener(Endpoint(host: "127.0.0.1", port: 0), limits: Self.limits(shape.up))
  }

  /// Relays connections until ``shutDown()`` or the task's end, which ends those that are open.
  package func run() async throws(WireError) {
    let ending = await withTaskGroup(of: Void.self) { group -> WireError in
      defer { group.cancelAll() }
      for number in 1... {
        do throws(WireError) {
          let client = try await listener.acceptBytes()
          connections.store(number, ordering: .relaxed)
          group.addTask { await self.relay(client, number) }
        } catch {
          return error
        }
      }
      return .closed
    }
    listener.close()
    guard ending == .closed else { throw ending }
  }

  /// Lets the connections that there are carry nothing any more, without an end. New ones are not concerned.
  package func darken(_ how: Darkness) {
    let last = connections.load(ordering: .relaxed)
    dark.withLock { $0 = (last, how) }
  }

  package func shutDown() { listener.shutDown() }

  private func relay(_ client: ByteConnection, _ number: Int) async {
    defer { client.close() }
    do {
      // Before a client may say anything, TCP's handshake takes a round trip.
      try await Task.sleep(for: shape.delay.duration * 2)
      let server = try await ByteConnection.connect(to: server, limits: Self.limits(shape.down))
      await carry(client, server, number)
      // The server is the first to hear of a loss: a client that is back before it has noticed would be rejected.
      server.finish()
      while (try? await server.read(atMost: 1 << 16)) != nil {}
      server.close()
    } catch {
      // Nobody listens any more: to the client it is a connection that is closed at once.
    }
  }

  private func carry(_ client: ByteConnection, _ server: ByteConnection, _ number: Int) async {
    var random = RandomNumbers(seed, "link", number)
    let meter = LossMeter(percent: shape.loss, &random)
    let delay = shape.delay.duration
    let darkness = { @Sendable [self] in dark.withLock { $0.flatMap { number <= $0.last ? $0.how : nil } } }
    let up = LinkPipe(
      from: client, to: server, rate: shape.up, delay: delay, meter: meter, darkness: darkness
    ) { [self] count in state.withLock { $0.up += count } }
    let down = LinkPipe(
      from: server, to: client, rate: shape.down, delay: delay, meter: meter, darkness: darkness
    ) { [self] count in state.withLock { $0.down += count } }
    let isCut = await withTaskGroup(of: LinkPipe.Ending.self) { group in
      group.addTask { await up.run() }
      group.addTask { await down.run() }
      for await ending in group where ending != .finished {
        group.cancelAll()
        return ending == .cut
      }
      return false
    }
    if isCut { state.withLock { $0.cuts += 1 } }
  }
}

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

/// Bytes under way in one direction of a link: at most so many, each piece with the time at which it arrives.
///
/// One task puts pieces in, another takes them out.
package final class DelayLine: Sendable {
  package struct Piece: Sendable {
    /// None at the end of all bytes.
    package let bytes: Data
    package let arrival: ContinuousClock.Instant

    package init(bytes: Data, arrival: ContinuousClock.Instant) {
      (self.bytes, self.arrival) = (bytes, arrival)
    }
  }

  /// What was put in, in order.
  package let pieces: AsyncStream<Piece>
  private let entry: AsyncStream<Piece>.Continuation
  private let capacity: Int
  private let held = Mutex(0)
  private let (releases, release) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))

  /// - Parameter capacity: bytes that it holds at most.
  package init(capacity: Int) {
    self.capacity = capacity
    (pieces, entry) = AsyncStream.makeStream()
  }

  /// Waits until there is room for so many bytes, not more than the capacity, or the task is cancelled. Returns
  /// whether that took any waiting.
  package func waitForRoom(_ bytes: Int) async -> Bool {
    precondition(bytes <= capacity, "\(bytes) bytes for a delay line of \(capacity)")
    var hasWaited = false
    var waiting = releases.makeAsyncIterator()
    while held.withLock({ $0 > capacity - bytes }) {
      hasWaited = true
      guard await waiting.next() != nil else { break }
    }
    return hasWaited
  }

  package func put(_ piece: Piece) {
    held.withLock { $0 += piece.bytes.count }
    entry.yield(piece)
  }

  /// A piece has arrived, and is held no more.
  package func remove(_ piece: Piece) {
    held.withLock { $0 -= piece.bytes.count }
    release.yield()
  }
}

/// When bytes have passed a link of some rate, as a value: a token bucket that saves nothing, so that N bytes
/// never take less than N * 8 / rate.
package struct Pacer: Sendable {
  package typealias Instant = ContinuousClock.Instant

  package let rate: BitRate
  /// When everything so far has passed.
  private var free: Instant

  package init(_ rate: BitRate, at now: Instant) { (self.rate, free) = (rate, now) }

  /// Bytes of a piece: what passes in 10 ms, from a packet of Ethernet up to 64 KiB.
  package var piece: Int { min(max(rate.bytes(in: .milliseconds(10)), 1460), 64 << 10) }

  /// When bytes have passed that come now. `isBacklogged`: they had been waiting, so that they pass right behind
  /// those before, however late this is asked.
  package mutating func pass(_ bytes: Int, at now: Instant, isBacklogged: Bool) -> Instant {
    let start = isBacklogged ? free : max(free, now)
    free = start + rate.time(for: bytes)
    return free
  }
}

/// How many bytes a connection still carries, both ways together, before it is cut.
///
/// Each byte is as likely as any other to be the last: so a connection that has lived long is not more likely to
/// be cut than a new one.
package final class LossMeter: Sendable {
  /// Nil where it is never cut.
  private let left: Mutex<Int?>

  /// Draws the distance to the cut; `percent` is the chance to be cut within 10^6 bytes.
  package init(percent: Double, _ random: inout RandomNumbers) {
    guard percent > 0 else {
      left = Mutex(nil)
      return
    }
    // The distance is exponential: after x megabytes (1 - p)^x are left of all connections.
    let megabytes = Foundation.log(1 - Double(random.uniform())) / Foundation.log1p(-percent / 100)
    left = Mutex(Int(min(megabytes * 1e6, 1e18)))
  }

  /// Counts bytes that are to be carried. Returns how many of them are before the cut.
  package func take(_ bytes: Int) -> Int {
    left.withLock { left in
      guard let rest = left else { return bytes }
      left = max(rest - bytes, 0)
      return min(rest, bytes)
    }
  }
}
