import Foundation
import Synchronization

/// A line with the progress, rate and remaining time of some work.
package struct ProgressLine: Sendable {
  /// The units done, possibly a fraction, and their total number.
  package let done, total: Double
  /// The name of a unit, in the plural.
  package let unit: String
  /// The seconds since the start.
  package let elapsed: Double
  /// The description of the current work.
  package let text: String

  package init(done: Double, total: Double, unit: String, elapsed: Double, text: String) {
    (self.done, self.total, self.unit, self.elapsed, self.text) = (done, total, unit, elapsed, text)
  }

  private var share: Double { total > 0 ? min(max(done / total, 0), 1) : 1 }

  /// Returns the line for a terminal. A narrow terminal gets no rate, a narrower one no remaining time either; a line
  /// that is still too long is truncated.
  package func bar(columns: Int) -> String {
    let bar = Terminal.bar(share, width: min(max(columns / 4, 4), 24))
    let lines = [2, 1, 0].map { "\(bar) \(line(pace.prefix($0)))" }
    return lines.first { $0.count < columns } ?? lines[2]
  }

  package var plain: String { line(pace[...]) }

  private func line(_ pace: ArraySlice<String>) -> String {
    ([String(format: "%3.0f %%", 100 * share)] + pace + [text]).joined(separator: "  ")
  }

  /// The remaining time and the rate; at the start and at the end, the elapsed time.
  private var pace: [String] {
    // The first hundredth is not typical.
    guard share > 0.01, share < 1, elapsed > 0.5 else { return [Terminal.clock(elapsed)] }
    return ["\(Terminal.clock(elapsed * (1 - share) / share)) left", rate]
  }

  /// The rate, per second, minute or hour, such that the number is at least one if possible.
  private var rate: String {
    let perSecond = done / elapsed
    let (number, time) =
      perSecond >= 1
      ? (perSecond, "s") : perSecond >= 1.0 / 60 ? (perSecond * 60, "min") : (perSecond * 3600, "h")
    return String(format: number < 10 ? "%.1f" : "%.0f", number) + " \(unit)/\(time)"
  }
}

/// The progress of work in equal pieces: a bar on a terminal, and a line at intervals elsewhere.
package final class WorkProgress: Sendable {
  private struct State {
    var done = 0
    var lastLine = ContinuousClock.now
  }

  /// The interval between lines without a terminal.
  private static let pause = Duration.seconds(15)

  private let terminal: Terminal
  private let total: Int
  private let unit: String
  private let start = ContinuousClock.now
  private let state = Mutex(State())

  /// - Parameter unit: the name of a unit, in the plural.
  package init(of total: Int, _ unit: String, on terminal: Terminal) {
    (self.total, self.unit, self.terminal) = (total, unit, terminal)
  }

  /// Counts one more unit. May be called from any thread.
  package func advance(_ note: String = "") { show(note) { $0 += 1 } }

  /// Sets the number of units done.
  package func set(_ done: Int, _ note: String = "") { show(note) { $0 = done } }

  /// Removes the bar.
  package func end() { terminal.clear() }

  private func show(_ note: String, _ change: (inout Int) -> Void) {
    let (done, isDue) = state.withLock { state in
      change(&state.done)
      let isDue = !terminal.isInteractive && .now - state.lastLine >= Self.pause
      if isDue { state.lastLine = .now }
      return (state.done, isDue)
    }
    let line = {
      ProgressLine(
        done: Double(done), total: Double(self.total), unit: self.unit, elapsed: self.elapsed,
        text: "\(done) of \(self.total)" + (note.isEmpty ? "" : ", \(note)"))
    }
    if isDue { terminal.line(line().plain) }
    terminal.draw { [line().bar(columns: $0)] }
  }

  private var elapsed: Double { (ContinuousClock.now - start) / .seconds(1) }
}
