import Engine
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
