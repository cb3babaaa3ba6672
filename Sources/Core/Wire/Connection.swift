import Certificates
import Federation
import FlyingSocks
import Foundation
import Synchronization

/// One end of a TCP connection that carries messages, with TLS or without.
///
/// One task receives; any number may send, and whole frames never mix. Every byte is counted.
package actor Connection {
  /// Bytes that went through the socket so far; readable at any time.
  package nonisolated let traffic = Traffic()
  /// Where the other end is, for logs.
  package nonisolated let peer: String
  /// The other end's address without its port.
  package nonisolated let host: String
  /// Whether nobody on the way can read what travels.
  package nonisolated let isSecret: Bool
  private let socket: Socket
  private let pool: SocketPool<ePoll>
  private var stream: any ByteStream
  private let tls: TLSStream?
  private var decoder: FrameDecoder
  /// What whoever receives or sends is told once it has ended.
  private var ending: WireError?
  private var isClosed = false
  private var isSending = false
  private var senders: [CheckedContinuation<Void, Never>] = []

  /// - Parameter tls: without it all travels as it is.
  init(
    _ socket: AsyncSocket, pool: SocketPool<ePoll>, limit: Int, tls: TLSContext?, isServer: Bool
  ) throws(StreamError) {
    self.socket = socket.socket
    self.pool = pool
    if let tls {
      let stream = try TLSStream(tls, socket.socket, isServer: isServer)
      (self.tls, self.stream) = (stream, stream)
    } else {
      (self.tls, stream) = (nil, PlainStream(socket.socket))
    }
    decoder = FrameDecoder(limit: limit)
    isSecret = tls != nil
    let address = try? socket.socket.remotePeer()
    peer = address.map(Self.describe) ?? "a peer that is gone"
    host = address.map(Self.host) ?? ""
    Network.sendAtOnce(socket.socket)
  }

  /// Connects to a server at the first of its addresses that answers (``HappyEyeballs``), and with TLS makes sure that
  /// it is the right one. Throws ``WireError`` with the reason where that is not possible.
  ///
  /// - Parameter addresses: of the host, in place of those that its name has.
  package static func connect(
    to endpoint: Endpoint, at addresses: [Endpoint]? = nil, limit: Int, tls: TLSContext? = nil
  ) async throws(WireError) -> Connection {
    let (socket, pool) = try await Network.connect(to: endpoint, at: addresses)
    let connection: Connection
    do {
      connection = try Connection(socket, pool: pool, limit: limit, tls: tls, isServer: false)
    } catch {
      await Network.close(socket.socket, pool)
      throw .address("\(endpoint)", reason: Network.reason(error))
    }
    let watch = Task {
      let patience = Duration.seconds(WireLimits.helloSeconds)
      try await Task.sleep(for: patience)
      await connection.giveUp(after: patience)
    }
    defer { watch.cancel() }
    do {
      try await connection.shakeHands()
    } catch {
      await connection.close()
      throw error == .closed ? .tls(.broken("\(endpoint) does not answer in TLS")) : error
    }
    return connection
  }

  /// Makes the connection a secret one, where it is to be that: the first thing that both sides do.
  /// Throws ``WireError/tls(_:)`` where the peer is not who it should be, or ``WireError/closed``.
  package func shakeHands() async throws(WireError) {
    guard let tls else { return }
    try await waiting { () throws(StreamError) in try tls.shakeHands() }
  }

  /// Who the peer is by its certificate; nil where it has shown none.
  package var identity: PeerIdentity? { tls?.peer }

  /// The authority of a server that was known by a pin.
  package var pinned: Certificate? { tls?.pinned }

  /// The longest frame that is taken from now on, in bytes.
  package func setLimit(_ bytes: Int) { decoder.limit = bytes }

  /// The next message. Throws ``WireError`` for bytes that are none, and where the connection ends.
  package func receive() async throws(WireError) -> Message {
    while true {
      if let frame = try decoder.next() { return try Message(frame) }
      try await waiting { () throws(StreamError) in
        try decoder.fill { room throws(StreamError) in try stream.read(into: room) }
      }
    }
  }

  /// Sends a message, after those that wait already.
  package func send(_ message: Message) async throws(WireError) { try await send(OutgoingFrame(message)) }

  /// Sends what many are sent.
  package func send(_ frame: OutgoingFrame) async throws(WireError) {
    await takeTurn()
    defer { passTurn() }
    let count = frame.count
    var sent = 0
    while sent < count {
      do {
        sent += try await waiting { () throws(StreamError) in try stream.write(frame.pieces, behind: sent) }
      } catch {
        // Whoever was rejected may have said more than was taken, and was told why meanwhile.
        guard error == .closed, ending == nil, let farewell = tls?.farewell else { throw error }
        throw .tls(farewell)
      }
    }
  }

  /// Ends both directions: whoever receives or sends gets ``WireError/closed``.
  package func shutDown() { end(.closed) }

  /// The other end is gone without a word. What it has not taken is thrown away, or the kernel would keep it for a quarter
  /// of an hour.
  package func giveUp(after silence: Duration) {
    guard ending == nil else { return }
    Network.forgetUnsent(socket)
    end(.silence(silence))
  }

  private func end(_ reason: WireError) {
    guard ending == nil else { return }
    ending = reason
    // Closing alone would leave those asleep who wait for the socket; this wakes them.
    _ = Network.shutDown(socket.file.rawValue)
  }

  /// What shows of the other end at the time `now`, which is since some moment.
  package func signs(at now: Duration) -> SilenceWatch.Signs {
    let heard = now - silence
    // The descriptor may be another socket's by then.
    guard !isClosed else { return SilenceWatch.Signs(heard: heard) }
    let unsent = Network.unacknowledged(socket)
    return SilenceWatch.Signs(
      heard: heard, unread: Network.unread(socket), acknowledged: traffic.sent - unsent, onTheirWay: unsent)
  }

  /// Ends the connection and frees its descriptor, once nobody uses it. The receiving task calls it last.
  package func close() async {
    shutDown()
    await takeTurn()
    if !isClosed {
      isClosed = true
      await Network.close(socket, pool)
    }
    passTurn()
  }

  /// Does something with the stream, as often as the socket must be waited for.
  private func waiting<Result>(_ body: () throws(StreamError) -> Result) async throws(WireError) -> Result {
    var isGone = false
    while true {
      if let ending { throw ending }
      defer { traffic.set(stream.counts) }
      do {
        return try body()
      } catch {
        switch error {
        case .blocked(let event):
          // The peer's last words come with its end, and are there to be read.
          guard !isGone else { throw ending ?? .closed }
          do { try await pool.suspendSocket(socket, untilReadyFor: [event]) } catch { isGone = true }
        case .closed: throw ending ?? .closed
        case .tls(let failure): throw .tls(failure)
        }
      }
    }
  }

  private func takeTurn() async {
    guard isSending else {
      isSending = true
      return
    }
    await withCheckedContinuation { senders.append($0) }
  }

  private func passTurn() {
    if senders.isEmpty {
      isSending = false
    } else {
      senders.removeFirst().resume()
    }
  }

  private static func host(_ address: Socket.Address) -> String {
    switch address {
    case .ip4(let host, _), .ip6(let host, _): host
    case .unix(let path): path
    }
  }

  private static func describe(_ address: Socket.Address) -> String {
    switch address {
    case .ip4(let host, let port): "\(host):\(port)"
    case .ip6(let host, let port): "[\(host)]:\(port)"
    case .unix(let path): path
    }
  }
}

/// Bytes counted at a socket, frames and all.
package final class Traffic: Sendable {
  private let counts = Mutex((received: 0, sent: 0))
  private let lastHeard = Mutex(ContinuousClock.now)

  package init() {}

  package var received: Int { counts.withLock { $0.received } }
  package var sent: Int { counts.withLock { $0.sent } }

  /// When bytes came last; at first, when there were none yet.
  package var heard: ContinuousClock.Instant { lastHeard.withLock { $0 } }

  /// Sets both to what the socket has carried by now.
  package func set(_ totals: (received: Int, sent: Int)) {
    let isHeard = counts.withLock { counts in
      defer { counts = totals }
      return totals.received > counts.received
    }
    if isHeard { lastHeard.withLock { $0 = .now } }
  }
}

/// What a server's session needs of a connection: ``Connection`` live, and one under virtual time in the fault
/// simulation.
package protocol MessageConnection: Sendable {
  /// Bytes that went through it so far.
  var traffic: Traffic { get }
  /// Where the other end is, for logs.
  var peer: String { get }
  /// Whether nobody on the way can read what travels.
  var isSecret: Bool { get }
  /// Who the peer is by its certificate; nil where it has shown none.
  var identity: PeerIdentity? { get async }

  /// Makes the connection a secret one, where it is to be that. Throws ``WireError``.
  func shakeHands() async throws(WireError)
  /// The next message. Throws ``WireError`` for bytes that are none, and where the connection ends.
  func receive() async throws(WireError) -> Message
  /// Sends a message, after those that wait already. Throws ``WireError``.
  func send(_ message: Message) async throws(WireError)
  /// Sends what many are sent. Throws ``WireError``.
  func send(_ frame: OutgoingFrame) async throws(WireError)
  /// The longest frame that is taken from now on, in bytes.
  func setLimit(_ bytes: Int) async
  /// How long no byte has come.
  var silence: Duration { get }
  /// What shows of the other end at the time `now`, which is since some moment.
  func signs(at now: Duration) async -> SilenceWatch.Signs
  /// The other end has been silent for so long: a task that receives or sends gets ``WireError/silence(_:)``.
  func giveUp(after silence: Duration) async
  /// Ends both directions: a task that receives or sends gets ``WireError/closed``.
  func shutDown() async
  /// Ends the connection and frees what it holds. The receiving task calls it last.
  func close() async
}

extension Connection: MessageConnection {}
