import Foundation
import Synchronization

/// Progress for people: lines that stay, and on a terminal a block below them that is redrawn.
///
/// It writes to standard error, so that standard output holds results alone.
package final class Terminal: Sendable {
  private let isTerminal: Bool
  private let state = Mutex((height: 0, lastDraw: ContinuousClock.now - .seconds(1)))

  package init() {
    isTerminal = isatty(STDERR_FILENO) == 1 && ProcessInfo.processInfo.environment["TERM"] != "dumb"
  }

  /// A line that stays.
  package func line(_ text: String) {
    state.withLock { state in
      write(Self.erase(state.height) + text + "\n")
      state.height = 0
    }
  }

  /// Redraws the block, at most ten times a second; without a terminal it does nothing.
  package func draw(_ block: () -> [String]) {
    guard isTerminal else { return }
    state.withLock { state in
      guard ContinuousClock.now - state.lastDraw > .milliseconds(100) else { return }
      state.lastDraw = .now
      let lines = block()
      write(Self.erase(state.height) + lines.joined(separator: "\n") + "\n")
      state.height = lines.count
    }
  }

  /// Takes the block away.
  package func clear() {
    state.withLock { state in
      write(Self.erase(state.height))
      state.height = 0
    }
  }

  /// A bar of `width` characters, filled by a share of 0 … 1.
  package static func bar(_ share: Double, width: Int = 24) -> String {
    let filled = Int((min(max(share, 0), 1) * Double(width)).rounded())
    return String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
  }

  /// Seconds as 1:05 or 2:03:04.
  package static func clock(_ seconds: Double) -> String {
    let whole = Int(seconds.rounded())
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60)
    return hours > 0
      ? String(format: "%d:%02d:%02d", hours, minutes, rest) : String(format: "%d:%02d", minutes, rest)
  }

  private static func erase(_ height: Int) -> String {
    height == 0 ? "" : String(repeating: "\u{1B}[1A\u{1B}[2K", count: height) + "\r"
  }

  private func write(_ text: String) {
    guard !text.isEmpty else { return }
    FileHandle.standardError.write(Data(text.utf8))
  }
}
