import Foundation
import Support
import Synchronization

/// Progress for a person: permanent lines and, on a terminal, a block below them that is redrawn.
///
/// It writes to standard error, so that standard output holds only results. It uses no colours, so NO_COLOR has no
/// effect; a terminal with TERM=dumb gets lines only.
package final class Terminal: Sendable {
  private struct State {
    /// The number of characters in each line of the block.
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

  /// Writes a permanent line.
  package func line(_ text: String) {
    state.withLock { state in
      if write(Self.erase(state.widths) + ForeignText.lines(text) + "\n") { state.widths = [] }
    }
  }

  /// Redraws the block at most ten times a second; does nothing without a terminal. `block` gets the current number of
  /// columns; longer lines are truncated.
  package func draw(_ block: (_ columns: Int) -> [String]) {
    guard isInteractive else { return }
    state.withLock { state in
      guard !state.isOver, ContinuousClock.now - state.lastDraw > .milliseconds(100) else { return }
      // While the terminal is blocked, no block is queued.
      guard StandardError.shared.isIdle else { return }
      state.lastDraw = .now
      let columns = Self.columns
      // Some terminals begin a new line after the last column.
      let lines = block(columns).map { $0.prefix(columns - 1) }
      if write(Self.erase(state.widths) + lines.joined(separator: "\n") + "\n") {
        state.widths = lines.map(\.count)
      }
    }
  }

  /// Replaces the block by a last line; nothing is drawn afterwards.
  package func end(_ text: String) {
    state.withLock { $0.isOver = true }
    line(text)
  }

  /// Removes the block.
  package func clear() {
    state.withLock { state in
      if write(Self.erase(state.widths)) { state.widths = [] }
    }
  }

  /// Returns a bar of `width` characters, of which a share of 0 … 1 is filled.
  package static func bar(_ share: Double, width: Int = 24) -> String {
    let filled = Int((min(max(share, 0), 1) * Double(width)).rounded())
    return String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
  }

  /// Returns seconds in the form 1:05 or 2:03:04.
  package static func clock(_ seconds: Double) -> String {
    let whole = seconds.isFinite ? Int(min(max(seconds, 0), 1e9).rounded()) : 0
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60)
    return hours > 0
      ? String(format: "%d:%02d:%02d", hours, minutes, rest) : String(format: "%d:%02d", minutes, rest)
  }

  /// Returns the current width of a descriptor's terminal; nil if it is not a terminal or reports no width.
  package static func columns(of descriptor: Int32) -> Int? {
    var size = winsize()
    return ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 1 ? Int(size.ws_col) : nil
  }

  private static var columns: Int { columns(of: STDERR_FILENO) ?? 80 }

  /// Returns the codes that erase the block. If the terminal has become narrower, its lines take more rows than drawn.
  private static func erase(_ widths: [Int]) -> String {
    guard !widths.isEmpty else { return "" }
    let columns = columns
    let rows = widths.reduce(0) { $0 + max(1, ($1 + columns - 1) / columns) }
    return String(repeating: "\u{1B}[1A\u{1B}[2K", count: rows) + "\r"
  }

  /// Queues a text. Returns false if it is dropped.
  private func write(_ text: String) -> Bool { text.isEmpty || StandardError.shared.write(text) }
}
