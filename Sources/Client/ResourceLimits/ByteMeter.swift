import Datasets
import Engine
import Foundation
import Support
import Wire

/// Counts a connection's bytes into a file in the client's folder, so that a restart does not forget them.
package struct ByteMeter: Sendable {
  private let file: URL
  private var bytes: DailyBytes
  /// What was counted of this connection already.
  private var seen = DailyBytes.Count()
  /// Bytes that are not in the file yet.
  private var unsaved = 0

  /// A crash may forget so many bytes: writing more often would wear the card that a small device runs from.
  private static let mostUnsaved = 1 << 20

  /// The meter in a client's folder, for one connection. A file that is damaged counts for none.
  package init(_ folder: URL) {
    file = folder.appendingPathComponent("bytes.json")
    let kept = (try? Data(contentsOf: file)).flatMap { try? JSON.read(DailyBytes.self, from: $0) }
    bytes = kept.flatMap { $0.isSound ? $0 : nil } ?? DailyBytes()
  }

  /// Bytes of a day, both ways.
  package func spent(on day: String) -> Int { bytes.count(on: day).total }

  /// Counts what went through the connection since the last time. Throws ``ClientError/state(_:)`` where the
  /// file cannot be written.
  package mutating func note(_ traffic: Traffic, on day: String) throws(ClientError) {
    let now = DailyBytes.Count(received: traffic.received, sent: traffic.sent)
    let fresh = DailyBytes.Count(received: now.received - seen.received, sent: now.sent - seen.sent)
    seen = now
    guard fresh.total > 0 else { return }
    bytes.add(fresh, on: day)
    unsaved += fresh.total
    try save(from: Self.mostUnsaved)
  }

  /// Writes the file if at least so many bytes are not in it. Throws ``ClientError/state(_:)``.
  package mutating func save(from least: Int = 1) throws(ClientError) {
    guard unsaved >= least else { return }
    do {
      try JSON.stored(bytes).write(to: file, options: .atomic)
    } catch {
      throw .state("\(file.path): \(error.systemWords)")
    }
    unsaved = 0
  }
}
