import Foundation
import Synchronization

/// How far something is, how fast it goes and how long it will take, in a line.
package struct ProgressLine: Sendable {
  /// In units of which there are `total`; a part of one counts as that.
  package let done, total: Double
  /// What is counted, in the plural.
  package let unit: String
  /// Seconds since the beginning.
  package let elapsed: Double
  /// What is being done.
  package let text: String

  package init(done: Double, total: Double, unit: String, elapsed: Double, text: String) {
    (self.done, self.total, self.unit, self.elapsed, self.text) = (done, total, unit, elapsed, text)
  }

  private var share: Double { total > 0 ? min(max(done / total, 0), 1) : 1 }

  /// For a terminal of so many columns. A narrow one has first no rate, then no time left; what is too long even so is
  /// cut off at its end.
  package func bar(columns: Int) -> String {
    let bar = Terminal.bar(share, width: min(max(columns / 4, 4), 24))
    let lines = [2, 1, 0].map { "\(bar) \(line(pace.prefix($0)))" }
    return lines.first { $0.count < columns } ?? lines[2]
  }

  package var plain: String { line(pace[...]) }

  private func line(_ pace: ArraySlice<String>) -> String {
    ([String(format: "%3.0f %%", 100 * share)] + pace + [text]).joined(separator: "  ")
  }

  /// Time left and rate; before anything is known, and when all is done, the time that has passed.
  private var pace: [String] {
    // The first hundredth is not typical.
    guard share > 0.01, share < 1, elapsed > 0.5 else { return [Terminal.clock(elapsed)] }
    return ["\(Terminal.clock(elapsed * (1 - share) / share)) left", rate]
  }

  /// In the unit of time in which the number is above one.
  private var rate: String {
    let perSecond = done / elapsed
    let (number, time) =
      perSecond >= 1
      ? (perSecond, "s") : perSecond >= 1.0 / 60 ? (perSecond * 60, "min") : (perSecond * 3600, "h")
    return String(format: number < 10 ? "%.1f" : "%.0f", number) + " \(unit)/\(time)"
  }
}

/// How far some work is that consists of equal pieces: a bar on a terminal, and a line now and then elsewhere.
package final class WorkProgress: Sendable {
  private struct State {
    var done = 0
    var lastLine = ContinuousClock.now
  }

  /// How often a line is written where there is no terminal.
  private static let pause = Duration.seconds(15)

  private let terminal: Terminal
  private let total: Int
  private let unit: String
  private let start = ContinuousClock.now
  private let state = Mutex(State())

  /// `unit` is what is counted, in the plural.
  package init(of total: Int, _ unit: String, on terminal: Terminal) {
    (self.total, self.unit, self.terminal) = (total, unit, terminal)
  }

  /// One more is done; it may be called on any thread.
  package func advance(_ note: String = "") { show(note) { $0 += 1 } }

  /// So many are done.
  package func set(_ done: Int, _ note: String = "") { show(note) { $0 = done } }

  /// Takes the bar away.
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
