import Foundation
import Support
import Synchronization

/// Progress for people: lines that stay, and on a terminal a block below them that is redrawn.
///
/// It writes to standard error, so that standard output holds results alone. There are no colours, so that
/// NO_COLOR changes nothing; a terminal that is TERM=dumb gets lines alone.
package final class Terminal: Sendable {
  private struct State {
    /// Characters of each line of the block.
    var widths: [Int] = []
    var lastDraw = ContinuousClock.now - .seconds(1)
    var isOver = false
  }

  /// Whether a block can be drawn.
  package let isInteractive: Bool
  private let state = Mutex(State())

  package init() {
    isInteractive = isatty(STDERR_FILENO) == 1 && ProcessInfo.processInfo.environment["TERM"] != "dumb"
  }

  /// A line that stays.
  package func line(_ text: String) {
    state.withLock { state in
      if write(Self.erase(state.widths) + ForeignText.lines(text) + "\n") { state.widths = [] }
    }
  }

  /// Redraws the block, at most ten times a second; without a terminal it does nothing. `block` gets the terminal's
  /// columns as they are now; what is longer is cut off.
  package func draw(_ block: (_ columns: Int) -> [String]) {
    guard isInteractive else { return }
    state.withLock { state in
      guard !state.isOver, ContinuousClock.now - state.lastDraw > .milliseconds(100) else { return }
      // A terminal that stands still needs no block for later.
      guard StandardError.shared.isIdle else { return }
      state.lastDraw = .now
      let columns = Self.columns
      // In the last column some terminals begin a new line by themselves.
      let lines = block(columns).map { $0.prefix(columns - 1) }
      if write(Self.erase(state.widths) + lines.joined(separator: "\n") + "\n") {
        state.widths = lines.map(\.count)
      }
    }
  }

  /// The last line, in the block's place; nothing is drawn after it.
  package func end(_ text: String) {
    state.withLock { $0.isOver = true }
    line(text)
  }

  /// Takes the block away.
  package func clear() {
    state.withLock { state in
      if write(Self.erase(state.widths)) { state.widths = [] }
    }
  }

  /// A bar of `width` characters, filled by a share of 0 … 1.
  package static func bar(_ share: Double, width: Int = 24) -> String {
    let filled = Int((min(max(share, 0), 1) * Double(width)).rounded())
    return String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
  }

  /// Seconds as 1:05 or 2:03:04.
  package static func clock(_ seconds: Double) -> String {
    let whole = seconds.isFinite ? Int(min(max(seconds, 0), 1e9).rounded()) : 0
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60)
    return hours > 0
      ? String(format: "%d:%02d:%02d", hours, minutes, rest) : String(format: "%d:%02d", minutes, rest)
  }

  /// How wide the terminal is that a descriptor leads to, which may change at any time; nil where it is none, or does
  /// not tell.
  package static func columns(of descriptor: Int32) -> Int? {
    var size = winsize()
    return ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 1 ? Int(size.ws_col) : nil
  }

  private static var columns: Int { columns(of: STDERR_FILENO) ?? 80 }

  /// Lines of a terminal that became narrower since are broken, and take more rows than were drawn.
  private static func erase(_ widths: [Int]) -> String {
    guard !widths.isEmpty else { return "" }
    let columns = columns
    let rows = widths.reduce(0) { $0 + max(1, ($1 + columns - 1) / columns) }
    return String(repeating: "\u{1B}[1A\u{1B}[2K", count: rows) + "\r"
  }

  /// Returns whether it will be written, if anything is.
  private func write(_ text: String) -> Bool { text.isEmpty || StandardError.shared.write(text) }
}
