import Federation
import Foundation
import Wire

/// The server's side of one connection, as a value: it takes a client's messages and returns the actions to perform.
package struct Conversation: Sendable {
  package enum Action: Sendable {
    case join(Hello)
    /// A new device requests its certificate; it sends nothing else.
    case enrol(EnrolmentRequest)
    case heartbeat(Heartbeat)
    /// Send the weights of a version from an offset on.
    case serve(Fetch)
    case decline(Decline)
    /// Consider an offered update; call ``begin(_:at:)`` if its bytes are wanted.
    case consider(UpdateOffer)
    /// Write a piece of an update at its offset.
    case write(Data, at: Int, UpdateOffer)
    /// All bytes of an update have arrived. `wasResumed`: some of them on an earlier connection.
    case finish(UpdateOffer, wasResumed: Bool)
  }

  /// The client's name, once it is admitted.
  package private(set) var client: String?
  /// Whether the peer is a new device that has requested its certificate.
  package private(set) var isEnrolling = false
  private var offer: UpdateOffer?
  /// The start of the transfer on this connection, and its current offset.
  private var (first, received) = (0, 0)

  package init() {}

  /// Admits the client.
  package mutating func admit(_ client: String) { self.client = client }

  /// Handles a message of the client. Throws ``UnexpectedMessage`` if it is not allowed in this state.
  package mutating func hear(_ message: Message) throws(UnexpectedMessage) -> [Action] {
    guard !isEnrolling else { throw UnexpectedMessage("\(message.name) after enrol") }
    guard client != nil else {
      switch message {
      case .hello(let hello): return [.join(hello)]
      case .enrol(let request):
        isEnrolling = true
        return [.enrol(request)]
      default: throw UnexpectedMessage("\(message.name) before hello")
      }
    }
    switch message {
    case .heartbeat(let heartbeat): return [.heartbeat(heartbeat)]
    case .fetch(let fetch): return [.serve(fetch)]
    case .decline(let decline): return [.decline(decline)]
    case .offer(let offer): return [.consider(offer)]
    case .update(let head, let bytes): return try take(head, bytes)
    default: throw UnexpectedMessage("\(message.name) from a client")
    }
  }

  /// Begins the transfer of an offered update, of which the first `offset` bytes are here. Returns the request, and the
  /// actions that follow if no bytes are missing.
  package mutating func begin(_ offer: UpdateOffer, at offset: Int) -> (Message, [Action]) {
    (self.offer, first, received) = (offer, offset, offset)
    let request = UpdateRequest(key: offer.key, digest: offer.digest, offset: offset)
    return (.request(request), finishIfWhole())
  }

  private mutating func take(_ head: UpdateData, _ bytes: Data) throws(UnexpectedMessage) -> [Action] {
    // The rest of an update that was not requested, or no longer is.
    guard let offer, offer.digest == head.digest else { return [] }
    guard head.offset == received, bytes.count <= offer.bytes - head.offset else {
      throw UnexpectedMessage("\(bytes.count) bytes at \(head.offset) of an update of \(offer.bytes)")
    }
    received += bytes.count
    return [.write(bytes, at: head.offset, offer)] + finishIfWhole()
  }

  private mutating func finishIfWhole() -> [Action] {
    guard let offer, received == offer.bytes else { return [] }
    self.offer = nil
    return [.finish(offer, wasResumed: first > 0)]
  }
}
