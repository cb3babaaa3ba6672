import Federation
import Foundation
import Wire

/// The server's side of one connection, as a value: a client's message goes in, what is to be done comes out.
package struct Conversation: Sendable {
  package enum Action: Sendable {
    case join(Hello)
    /// A new device wants its certificate, and says nothing else.
    case enrol(EnrolmentRequest)
    case heartbeat(Heartbeat)
    /// Send a version's weights from an offset on.
    case serve(Fetch)
    case decline(Decline)
    /// An update is offered; ``begin(_:at:)`` where its bytes are wanted.
    case consider(UpdateOffer)
    /// Keep a piece of an update at its place.
    case write(Data, at: Int, UpdateOffer)
    /// All bytes of an update are there. `wasResumed`: some of them came on an earlier connection.
    case finish(UpdateOffer, wasResumed: Bool)
  }

  /// The client's name, once it is welcome.
  package private(set) var client: String?
  /// Whether it is a new device that has asked for its certificate.
  package private(set) var isEnrolling = false
  private var offer: UpdateOffer?
  /// Where the transfer on this connection began, and how far it is.
  private var (first, received) = (0, 0)

  package init() {}

  /// The client is welcome.
  package mutating func admit(_ client: String) { self.client = client }

  /// The client said something. Throws ``UnexpectedMessage`` where it could not say that now.
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

  /// The bytes of an offered update are wanted, of which the first `offset` are there. Returns the request, and
  /// what follows if nothing is missing.
  package mutating func begin(_ offer: UpdateOffer, at offset: Int) -> (Message, [Action]) {
    (self.offer, first, received) = (offer, offset, offset)
    let request = UpdateRequest(key: offer.key, digest: offer.digest, offset: offset)
    return (.request(request), finishIfWhole())
  }

  private mutating func take(_ head: UpdateData, _ bytes: Data) throws(UnexpectedMessage) -> [Action] {
    // The tail of an update that was not asked for, or not any more.
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
