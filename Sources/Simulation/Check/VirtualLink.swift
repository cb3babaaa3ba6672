import Federation
import Foundation
import Wire

/// A connection between a client and the server: bytes in order, late, and at some time no more.
struct VirtualLink {
  let client: Int
  private(set) var isCut = false
  /// Nothing arrives any more, and neither side is told.
  var isDark = false
  /// When the latest bytes so far arrive, by direction: nothing overtakes what was sent before.
  private var latest: [Bool: Duration] = [:]
  private var toClient = FrameDecoder(limit: WireLimits.frame)

  init(client: Int) { self.client = client }

  mutating func cut() { isCut = true }

  /// When bytes that are sent now arrive, `delay` from now at the earliest.
  mutating func arrival(toServer: Bool, at now: Duration, delay: Duration) -> Duration {
    let time = max(now + delay, latest[toServer] ?? .zero)
    latest[toServer] = time
    return time
  }

  /// The messages to the client that are whole once these bytes have arrived.
  mutating func receive(_ bytes: Data) throws -> [Message] {
    var messages: [Message] = []
    toClient.append(bytes)
    while let frame = try toClient.next() { messages.append(try Message(frame)) }
    return messages
  }
}
