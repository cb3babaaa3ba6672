import Synchronization

/// The order of events in different tasks.
final class OrderLog: Sendable {
  private let list = Mutex<[String]>([])

  var events: [String] { list.withLock { $0 } }

  func note(_ event: String) { list.withLock { $0.append(event) } }
}
