import Foundation
import Testing
import Wire

/// How tests treat time: they wait for what happens, however long it takes, and a limit is there for what hangs alone.
/// The peers that they start in their own process have as much time.
package struct Unhurried: SuiteTrait, TestTrait, TestScoping {
  /// How long a test, or what it has started, may take before it counts as one that hangs: far longer than any test takes
  /// on an idle machine, and the longer the busier this one is.
  package static let limit = Duration.seconds(1200 * Int(max(1, load.rounded(.up))))

  /// For an option of the commands.
  package static let patience = "\(limit.components.seconds)s"

  /// With so much, the times that peers allow each other are an hour and more; no heartbeat may be rarer.
  package static let slack = 360

  /// Processes that want to run for each core, over the last minute.
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
  /// For every suite that waits for something: see ``Unhurried``.
  package static var unhurried: Self { .unhurried(slack: Unhurried.slack) }

  /// For tests of the limits themselves, which have them as they are, or somewhat larger.
  package static func unhurried(slack: Int) -> Self { Unhurried(slack: slack) }
}
