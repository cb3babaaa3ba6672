import Commands
import Federation
import Server
import Simulation
import Synchronization

/// The output of a comparison: lines, and on a terminal a bar with the rounds of all runs.
final class CompareProgress: Sendable {
  private struct State {
    /// The progress over the runs that have no earlier result.
    var rounds: WorkProgress?
    /// The rounds of the runs that have ended, as planned.
    var before = 0
    /// The committed rounds of the current runs, by name.
    var committed: [String: Int] = [:]
    /// Whether several runs share the machine, so that lines need the names of their runs.
    var isShared = false
    var now = ""
  }

  let terminal = Terminal()
  private let state = Mutex(State())

  /// Sets the runs to be done.
  func begin(_ cells: [ComparisonCell]) {
    let total = cells.reduce(0) { $0 + ($1.record == nil ? $1.plan.mostRounds : 0) }
    guard total > 0 else { return }
    state.withLock { $0.rounds = WorkProgress(of: total, "rounds", on: terminal) }
  }

  func note(_ event: PlanComparison.Event) {
    switch event {
    case .shares(let text):
      state.withLock { $0.isShared = true }
      terminal.line(text)
    case .run(let cell, let index, let count, let isKnown):
      terminal.line("run \(index) of \(count): \(cell.name)\(isKnown ? ", finished before" : "")")
      state.withLock { if !isKnown { ($0.committed[cell.name], $0.now) = (0, "run \(index) of \(count)") } }
    case .line(let cell, let text):
      terminal.line("  \(state.withLock(\.isShared) ? "\(cell.name): " : "")\(text)")
      guard RoundSummary.isLine(text) else { break }
      state.withLock { state in
        state.committed[cell.name] = min((state.committed[cell.name] ?? 0) + 1, cell.plan.mostRounds)
      }
    case .ended(let cell):
      // Counts the planned rounds, even if the run failed.
      state.withLock { state in
        if state.committed.removeValue(forKey: cell.name) != nil { state.before += cell.plan.mostRounds }
      }
    case .measuring(let variant):
      terminal.line("memory of a client: \(variant.label)")
      state.withLock { $0.now = "memory of a client" }
    case .failed(let failure): terminal.line("failed: \(failure)")
    }
    state.withLock { $0.rounds?.set($0.before + $0.committed.values.reduce(0, +), $0.now) }
  }

  func end() { terminal.clear() }
}
