import Federation
import Foundation
import Wire

/// A connection between a client and the server: bytes in order, late, and at some time no more.
struct VirtualLink {
  let client: Int
  private(set) var isCut = false
  /// When the latest bytes so far arrive, by direction: nothing overtakes what was sent before.
  private var latest: [Bool: Duration] = [:]
  var toServer = FrameDecoder(limit: WireLimits.frameBeforeHello)
  var toClient = FrameDecoder(limit: WireLimits.frame)

  init(client: Int) { self.client = client }

  mutating func cut() { isCut = true }

  /// When bytes that are sent now arrive, `delay` from now at the earliest.
  mutating func arrival(toServer: Bool, at now: Duration, delay: Duration) -> Duration {
    let time = max(now + delay, latest[toServer] ?? .zero)
    latest[toServer] = time
    return time
  }

  /// The messages that are whole once these bytes have arrived.
  mutating func receive(_ bytes: Data, toServer: Bool) throws -> [Message] {
    var messages: [Message] = []
    if toServer {
      self.toServer.append(bytes)
      while let frame = try self.toServer.next() { messages.append(try Message(frame)) }
    } else {
      toClient.append(bytes)
      while let frame = try toClient.next() { messages.append(try Message(frame)) }
    }
    return messages
  }
}
