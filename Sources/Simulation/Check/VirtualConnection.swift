import Certificates
import Federation
import Foundation
import Wire

/// The server's end of a link, on the thread of its ``VirtualRuntime``.
final class VirtualConnection: MessageConnection, @unchecked Sendable {
  let traffic = Traffic()
  let peer: String
  let isSecret = false
  private(set) var isClosed = false
  private var decoder = FrameDecoder(limit: WireLimits.frameBeforeHello)
  private var reader: CheckedContinuation<Void, Never>?
  private let sending: (Message, Data) -> Void
  private let closing: () -> Void
  private var (received, sent) = (0, 0)
  private let now: () -> Duration
  private var heard: Duration

  /// - Parameters:
  ///   - sending: gets what the server sends, as a message and as a frame.
  ///   - closing: called when the server closes the connection.
  init(
    peer: String, now: @escaping () -> Duration, sending: @escaping (Message, Data) -> Void,
    closing: @escaping () -> Void
  ) {
    (self.peer, self.now, self.sending, self.closing) = (peer, now, sending, closing)
    heard = now()
  }

  var identity: PeerIdentity? { get async { nil } }

  /// Receives bytes from the client.
  func arrive(_ bytes: Data) {
    guard !isClosed else { return }
    decoder.append(bytes)
    received += bytes.count
    heard = now()
    traffic.set((received, sent))
    wakeReader()
  }

  /// Makes the server notice that the connection is lost.
  func lose() {
    isClosed = true
    wakeReader()
  }

  func shakeHands() async throws(WireError) {}

  func receive() async throws(WireError) -> Message {
    while true {
      guard !isClosed else { throw .closed }
      if let frame = try decoder.next() { return try Message(frame) }
      await withCheckedContinuation { reader = $0 }
    }
  }

  func send(_ message: Message) async throws(WireError) { try await send(OutgoingFrame(message)) }

  func send(_ frame: OutgoingFrame) async throws(WireError) {
    guard !isClosed else { throw .closed }
    let bytes = frame.pieces.reduce(into: Data()) { $0 += $1 }
    var decoder = FrameDecoder(limit: WireLimits.frame)
    decoder.append(bytes)
    guard let whole = try decoder.next() else { throw .malformed("half a frame") }
    sent += bytes.count
    traffic.set((received, sent))
    sending(try Message(whole), bytes)
  }

  func setLimit(_ bytes: Int) async { decoder.limit = bytes }

  var silence: Duration { now() - heard }

  func signs(at time: Duration) async -> SilenceWatch.Signs {
    SilenceWatch.Signs(heard: time - silence, acknowledged: sent)
  }

  func giveUp(after silence: Duration) async { await shutDown() }

  func shutDown() async {
    guard !isClosed else { return }
    lose()
    closing()
  }

  func close() async { await shutDown() }

  private func wakeReader() {
    reader?.resume()
    reader = nil
  }
}

/// A connection between a client and the server. It delivers bytes in order and with delay until it is cut.
struct VirtualLink {
  let client: Int
  private(set) var isCut = false
  /// Whether the link drops everything without either side noticing.
  var isDark = false
  /// The latest arrival by direction, since bytes arrive in order.
  private var latest: [Bool: Duration] = [:]
  private var toClient = FrameDecoder(limit: WireLimits.frame)

  init(client: Int) { self.client = client }

  mutating func cut() { isCut = true }

  /// Returns when bytes sent now arrive: at the earliest `delay` from now.
  mutating func arrival(toServer: Bool, at now: Duration, delay: Duration) -> Duration {
    let time = max(now + delay, latest[toServer] ?? .zero)
    latest[toServer] = time
    return time
  }

  /// Returns the messages to the client that these bytes complete.
  mutating func receive(_ bytes: Data) throws -> [Message] {
    var messages: [Message] = []
    toClient.append(bytes)
    while let frame = try toClient.next() { messages.append(try Message(frame)) }
    return messages
  }
}
