import Engine
import Foundation
import Synchronization
import Wire

/// A client's link to its server. It listens in place of the server and relays both directions with the rate, delay and
/// loss of the link.
///
/// Every connection has the full rate of the link, since a client has one at a time.
package final class LinkRelay: Sendable {
  /// The totals of a link.
  package struct Counts: Sendable, Hashable {
    /// The bytes delivered from the client to the server, and in the other direction.
    package fileprivate(set) var up = 0
    package fileprivate(set) var down = 0
    /// The number of connections that were cut.
    package fileprivate(set) var cuts = 0
  }

  /// The address that the client connects to.
  package var endpoint: Endpoint { listener.endpoint }
  package var counts: Counts { state.withLock { $0 } }

  private let listener: Listener
  private let server: Endpoint
  private let shape: LinkShape
  private let seed: UInt64
  private let state = Mutex(Counts())
  /// The last connection that has gone dark, and how.
  private let dark = Mutex<(last: Int, how: Darkness)?>(nil)
  private let connections = Atomic(0)

  /// The treatment of bytes sent into a dark link.
  package enum Darkness: Sendable, Hashable, CaseIterable {
    /// Accepts no bytes, like an unplugged cable.
    case stuck
    /// Accepts all bytes and drops them, like a middlebox that has lost the connection's state.
    case swallowing
  }

  /// Returns socket limits as on Ethernet, with small buffers: bytes in a kernel buffer count as sent, and heartbeats
  /// queue behind them.
  private static func limits(_ rate: BitRate) -> SocketLimits {
    SocketLimits(segment: 1460, unread: Int32(min(max(rate.bytes(in: .milliseconds(10)), 4 << 10), 64 << 10)))
  }

  /// Listens on a free loopback port. Throws ``WireError/address(_:reason:)``.
  ///
  /// - Parameter seed: determines where each connection is cut.
  package init(_ shape: LinkShape, to server: Endpoint, seed: UInt64) async throws(WireError) {
    (self.shape, self.server, self.seed) = (shape, server, seed)
    listener = try await Listener(Endpoint(host: "127.0.0.1", port: 0), limits: Self.limits(shape.up))
  }

  /// Relays connections until ``shutDown()`` or cancellation, which end the open ones.
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

  /// Makes the existing connections dark, without closing them. New connections are not affected.
  package func darken(_ how: Darkness) {
    let last = connections.load(ordering: .relaxed)
    dark.withLock { $0 = (last, how) }
  }

  package func shutDown() { listener.shutDown() }

  private func relay(_ client: ByteConnection, _ number: Int) async {
    defer { client.close() }
    do {
      // The TCP handshake takes a round trip before a client can send.
      try await Task.sleep(for: shape.delay.duration * 2)
      let server = try await ByteConnection.connect(to: server, limits: Self.limits(shape.down))
      await carry(client, server, number)
      // The server notices a loss first: it would reject a client that returns before that.
      server.finish()
      while (try? await server.read(atMost: 1 << 16)) != nil {}
      server.close()
    } catch {
      // The server does not listen any more; the client's connection is closed at once.
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

/// One direction of a client's link. It copies bytes from one socket to the other at the link's rate and with its
/// delay.
///
/// It reads no faster than the rate and no more than the delay line can hold, so that a fast sender waits as on a real
/// link.
struct LinkPipe: Sendable {
  /// How the direction ended.
  enum Ending: Sendable {
    /// The sender closed its end, and this was passed on.
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
  ///   - darkness: returns whether the link is dark, and how.
  ///   - carried: called with the number of bytes delivered each time.
  init(
    from source: ByteConnection, to destination: ByteConnection, rate: BitRate, delay: Duration,
    meter: LossMeter, darkness: @escaping @Sendable () -> LinkRelay.Darkness? = { nil },
    carried: @escaping @Sendable (Int) -> Void
  ) {
    (self.source, self.destination, self.rate, self.delay) = (source, destination, rate, delay)
    (self.meter, self.darkness, self.carried) = (meter, darkness, carried)
    line = DelayLine(capacity: rate.bytes(in: delay) + Self.buffer(rate))
  }

  /// The buffer size, which prevents gaps in the stream when a task wakes up to 20 ms late.
  private static func buffer(_ rate: BitRate) -> Int { max(rate.bytes(in: .milliseconds(20)), 64 << 10) }

  /// Carries bytes until the sender's end.
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

  /// Delivers nothing any more, not even the sender's end, until the task is cancelled.
  private func darken(_ darkness: LinkRelay.Darkness, _ piece: Int) async {
    while darkness == .swallowing, (try? await source.read(atMost: piece)) != nil {}
    while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
  }

  private func drain() async -> Ending {
    for await piece in line.pieces {
      do {
        try await ContinuousClock().sleep(until: piece.arrival)
        // Bytes in flight never arrive.
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

/// The bytes in flight in one direction of a link, up to a capacity, in pieces with their arrival times.
///
/// One task adds pieces, another removes them.
package final class DelayLine: Sendable {
  package struct Piece: Sendable {
    /// The bytes of the piece; empty at the end of the stream.
    package let bytes: Data
    package let arrival: ContinuousClock.Instant

    package init(bytes: Data, arrival: ContinuousClock.Instant) {
      (self.bytes, self.arrival) = (bytes, arrival)
    }
  }

  /// The pieces in the order in which they were added.
  package let pieces: AsyncStream<Piece>
  private let entry: AsyncStream<Piece>.Continuation
  private let capacity: Int
  private let held = Mutex(0)
  private let (releases, release) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))

  /// - Parameter capacity: the maximum number of bytes in flight.
  package init(capacity: Int) {
    self.capacity = capacity
    (pieces, entry) = AsyncStream.makeStream()
  }

  /// Waits until there is space for `bytes` bytes, at most the capacity, or until the task is cancelled. Returns
  /// whether it had to wait.
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

  /// Releases the space of a piece that has arrived.
  package func remove(_ piece: Piece) {
    held.withLock { $0 -= piece.bytes.count }
    release.yield()
  }
}

/// The times at which bytes have passed a link: a token bucket without burst, so that N bytes never take less than
/// N * 8 / rate.
package struct Pacer: Sendable {
  package typealias Instant = ContinuousClock.Instant

  package let rate: BitRate
  /// The time at which all bytes so far have passed.
  private var free: Instant

  package init(_ rate: BitRate, at now: Instant) { (self.rate, free) = (rate, now) }

  /// The size of a piece: the bytes of 10 ms, from an Ethernet packet up to 64 KiB.
  package var piece: Int { min(max(rate.bytes(in: .milliseconds(10)), 1460), 64 << 10) }

  /// Returns when bytes that arrive now have passed. If `isBacklogged`, they were waiting before, and pass directly
  /// after the earlier ones, even if this is called late.
  package mutating func pass(_ bytes: Int, at now: Instant, isBacklogged: Bool) -> Instant {
    let start = isBacklogged ? free : max(free, now)
    free = start + rate.time(for: bytes)
    return free
  }
}

/// The number of bytes, in both directions together, that a connection carries before it is cut.
///
/// Every byte has the same probability of being the last, so an old connection is not more likely to be cut than a
/// new one.
package final class LossMeter: Sendable {
  /// The remaining bytes; nil if the connection is never cut.
  private let left: Mutex<Int?>

  /// Draws the distance to the cut; `percent` is the probability of a cut within 10^6 bytes.
  package init(percent: Double, _ random: inout RandomNumbers) {
    guard percent > 0 else {
      left = Mutex(nil)
      return
    }
    // The distance is exponentially distributed: a fraction of (1 - p)^x of all connections survives x megabytes.
    let megabytes = Foundation.log(1 - Double(random.uniform())) / Foundation.log1p(-percent / 100)
    left = Mutex(Int(min(megabytes * 1e6, 1e18)))
  }

  /// Counts bytes to be carried. Returns how many of them come before the cut.
  package func take(_ bytes: Int) -> Int {
    left.withLock { left in
      guard let rest = left else { return bytes }
      left = max(rest - bytes, 0)
      return min(rest, bytes)
    }
  }
}
