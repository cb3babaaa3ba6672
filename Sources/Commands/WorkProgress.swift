import Foundation
import Synchronization

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
