import Synchronization

/// What happened first, of things that happen in tasks of their own.
final class OrderLog: Sendable {
  private let list = Mutex<[String]>([])

  var events: [String] { list.withLock { $0 } }

  func note(_ event: String) { list.withLock { $0.append(event) } }
}
