import Certificates
import Federation
import FlyingSocks
import Foundation
import Synchronization

/// One end of a TCP connection for messages, with or without TLS.
///
/// One task receives; several tasks may send, and their frames are not interleaved. All bytes are counted.
package actor Connection {
  /// The number of bytes that the socket has carried so far; readable at any time.
  package nonisolated let traffic = Traffic()
  /// The address of the other end, for logs.
  package nonisolated let peer: String
  /// The address of the other end without its port.
  package nonisolated let host: String
  /// Whether the traffic cannot be read on its path.
  package nonisolated let isSecret: Bool
  private let socket: Socket
  private let pool: SocketPool<ePoll>
  private var stream: any ByteStream
  private let tls: TLSStream?
  private var decoder: FrameDecoder
  /// The error that sending and receiving tasks get after the connection has ended.
  private var ending: WireError?
  private var isClosed = false
  private var isSending = false
  private var senders: [CheckedContinuation<Void, Never>] = []

  /// - Parameter tls: The TLS context; nil for a connection without encryption.
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
    peer = address.map(Self.describe) ?? "a disconnected peer"
    host = address.map(Self.host) ?? ""
    Network.sendAtOnce(socket.socket)
  }

  /// Connects to a server at the first of its addresses that answers (``HappyEyeballs``), and authenticates it if TLS
  /// is used. Throws ``WireError`` with the reason if it fails.
  ///
  /// - Parameter addresses: Replace the addresses that the host's name resolves to.
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
      throw error == .closed ? .tls(.broken("\(endpoint) does not answer with TLS")) : error
    }
    return connection
  }

  /// Performs the TLS handshake, if TLS is used; must precede all messages. Throws ``WireError/tls(_:)`` if the peer
  /// cannot be authenticated, or ``WireError/closed``.
  package func shakeHands() async throws(WireError) {
    guard let tls else { return }
    try await waiting { () throws(StreamError) in try tls.shakeHands() }
  }

  /// The peer's identity from its certificate; nil if it has presented none.
  package var identity: PeerIdentity? { tls?.peer }

  /// The authority of a server that was authenticated by a pin.
  package var pinned: Certificate? { tls?.pinned }

  /// Sets the maximum length of received frames in bytes.
  package func setLimit(_ bytes: Int) { decoder.limit = bytes }

  /// Receives the next message. Throws ``WireError`` for invalid bytes and at the end of the connection.
  package func receive() async throws(WireError) -> Message {
    while true {
      if let frame = try decoder.next() { return try Message(frame) }
      try await waiting { () throws(StreamError) in
        try decoder.fill { room throws(StreamError) in try stream.read(into: room) }
      }
    }
  }

  /// Sends a message after those already queued.
  package func send(_ message: Message) async throws(WireError) { try await send(OutgoingFrame(message)) }

  /// Sends a frame, which may be shared by several connections.
  package func send(_ frame: OutgoingFrame) async throws(WireError) {
    await takeTurn()
    defer { passTurn() }
    let count = frame.count
    var sent = 0
    while sent < count {
      do {
        sent += try await waiting { () throws(StreamError) in try stream.write(frame.pieces, behind: sent) }
      } catch {
        // A rejected peer may still have been sending; the reason for the rejection is available to read.
        guard error == .closed, ending == nil, let farewell = tls?.farewell else { throw error }
        throw .tls(farewell)
      }
    }
  }

  /// Ends both directions; tasks that receive or send get ``WireError/closed``.
  package func shutDown() { end(.closed) }

  /// Ends the connection after silence of the other end. Discards unacknowledged data, which the kernel would otherwise
  /// keep for a quarter of an hour.
  package func giveUp(after silence: Duration) {
    guard ending == nil else { return }
    Network.forgetUnsent(socket)
    end(.silence(silence))
  }

  private func end(_ reason: WireError) {
    guard ending == nil else { return }
    ending = reason
    // Closing the descriptor would not wake tasks that wait for the socket; this does.
    _ = Network.shutDown(socket.file.rawValue)
  }

  /// Returns the signs of life of the other end at the time `now`, measured from a fixed origin.
  package func signs(at now: Duration) -> SilenceWatch.Signs {
    let heard = now - silence
    // The descriptor may belong to another socket by then.
    guard !isClosed else { return SilenceWatch.Signs(heard: heard) }
    let unsent = Network.unacknowledged(socket)
    return SilenceWatch.Signs(
      heard: heard, unread: Network.unread(socket), acknowledged: traffic.sent - unsent, onTheirWay: unsent)
  }

  /// Ends the connection and frees its descriptor once no task uses it. The receiving task calls it last.
  package func close() async {
    shutDown()
    await takeTurn()
    if !isClosed {
      isClosed = true
      await Network.close(socket, pool)
    }
    passTurn()
  }

  /// Runs an operation on the stream, and repeats it after waiting for the socket as often as necessary.
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
          // After the peer has closed, its last data can still be read.
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

/// The number of bytes that a socket has carried, including frame overhead.
package final class Traffic: Sendable {
  private let counts = Mutex((received: 0, sent: 0))
  private let lastHeard = Mutex(ContinuousClock.now)

  package init() {}

  package var received: Int { counts.withLock { $0.received } }
  package var sent: Int { counts.withLock { $0.sent } }

  /// The time when bytes last arrived, or the time of creation if none have.
  package var heard: ContinuousClock.Instant { lastHeard.withLock { $0 } }

  /// Sets both counters to the totals of the socket.
  package func set(_ totals: (received: Int, sent: Int)) {
    let isHeard = counts.withLock { counts in
      defer { counts = totals }
      return totals.received > counts.received
    }
    if isHeard { lastHeard.withLock { $0 = .now } }
  }
}

/// The operations of a connection that a server's session uses: ``Connection``, and a connection with virtual time in
/// the fault simulation.
package protocol MessageConnection: Sendable {
  /// The number of bytes carried so far.
  var traffic: Traffic { get }
  /// The address of the other end, for logs.
  var peer: String { get }
  /// Whether the traffic cannot be read on its path.
  var isSecret: Bool { get }
  /// The peer's identity from its certificate; nil if it has presented none.
  var identity: PeerIdentity? { get async }

  /// Performs the TLS handshake, if TLS is used. Throws ``WireError``.
  func shakeHands() async throws(WireError)
  /// Receives the next message. Throws ``WireError`` for invalid bytes and at the end of the connection.
  func receive() async throws(WireError) -> Message
  /// Sends a message after those already queued. Throws ``WireError``.
  func send(_ message: Message) async throws(WireError)
  /// Sends a frame, which may be shared by several connections. Throws ``WireError``.
  func send(_ frame: OutgoingFrame) async throws(WireError)
  /// Sets the maximum length of received frames in bytes.
  func setLimit(_ bytes: Int) async
  /// The time since bytes last arrived.
  var silence: Duration { get }
  /// Returns the signs of life of the other end at the time `now`, measured from a fixed origin.
  func signs(at now: Duration) async -> SilenceWatch.Signs
  /// Ends the connection after silence of the other end; tasks that receive or send get ``WireError/silence(_:)``.
  func giveUp(after silence: Duration) async
  /// Ends both directions; tasks that receive or send get ``WireError/closed``.
  func shutDown() async
  /// Ends the connection and frees its resources. The receiving task calls it last.
  func close() async
}

extension Connection: MessageConnection {}
