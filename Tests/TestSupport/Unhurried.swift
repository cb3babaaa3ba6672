import Foundation
import Testing
import Wire

/// The time limits of tests. Tests wait for events, however long they take; a limit applies only to tests that hang.
/// Peers in the same process have equally long limits.
package struct Unhurried: SuiteTrait, TestTrait, TestScoping {
  /// The time after which a test, or a process that it started, counts as hanging. It is far longer than any test takes
  /// on an idle machine, and grows with the load of this one.
  package static let limit = Duration.seconds(1200 * Int(max(1, load.rounded(.up))))

  /// The limit as an option of the commands.
  package static let patience = "\(limit.components.seconds)s"

  /// The factor by which timeouts between peers are extended, to an hour and more. A larger heartbeat interval is
  /// invalid.
  package static let slack = 360

  /// The number of runnable processes per core over the last minute.
  private static let load: Double = {
    var average = 0.0
    return getloadavg(&average, 1) == 1 ? average / Double(ProcessInfo.processInfo.activeProcessorCount) : 1
  }()

  package struct Hangs: Error, CustomStringConvertible {
    package let description = "it has not ended after \(Unhurried.limit)"
  }

  package let isRecursive = true
  fileprivate let slack: Int

  package func provideScope(
    for test: Test, testCase: Test.Case?, performing body: @Sendable () async throws -> Void
  ) async throws {
    guard testCase != nil else { return try await body() }
    try await WireLimits.$slack.withValue(slack) {
      try await withoutActuallyEscaping(body) { body in
        try await withThrowingTaskGroup(of: Void.self) { group in
          group.addTask { try await body() }
          group.addTask {
            try await Task.sleep(for: Self.limit)
            throw Hangs()
          }
          defer { group.cancelAll() }
          try await group.next()
        }
      }
    }
  }
}

extension Trait where Self == Unhurried {
  /// The trait of every suite that waits for events; see ``Unhurried``.
  package static var unhurried: Self { .unhurried(slack: Unhurried.slack) }

  /// The trait of tests of the time limits, which need them unchanged or slightly extended.
  package static func unhurried(slack: Int) -> Self { Unhurried(slack: slack) }
}
