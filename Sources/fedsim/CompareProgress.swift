import Commands
import Federation
import Server
import Simulation
import Synchronization

/// What a comparison shows while it works: its lines, and on a terminal how many rounds of all its runs are over.
final class CompareProgress: Sendable {
  private struct State {
    /// Of the runs that are not known from an earlier time.
    var rounds: WorkProgress?
    /// Rounds of the runs before this one, and of this one as planned and as committed.
    var before = 0
    var planned = 0
    var committed = 0
    var now = ""
  }

  let terminal = Terminal()
  private let state = Mutex(State())

  /// The runs that there will be.
  func begin(_ cells: [ComparisonCell]) {
    let total = cells.reduce(0) { $0 + ($1.record == nil ? $1.plan.mostRounds : 0) }
    guard total > 0 else { return }
    state.withLock { $0.rounds = WorkProgress(of: total, "rounds", on: terminal) }
  }

  func note(_ event: StrategyComparison.Event) {
    switch event {
    case .run(let cell, let index, let count, let isKnown):
      line("run \(index) of \(count): \(cell.name)\(isKnown ? ", finished before" : "")")
      begin(isKnown ? 0 : cell.plan.mostRounds, "run \(index) of \(count)")
    case .line(let text):
      line("  \(text)")
      guard RoundSummary.isLine(text) else { break }
      state.withLock { $0.committed = min($0.committed + 1, $0.planned) }
    case .measuring(let variant):
      line("memory of a client: \(variant.label)")
      begin(0, "memory of a client")
    case .failed(let failure): line("failed: \(failure)")
    }
    state.withLock { $0.rounds?.set($0.before + $0.committed, $0.now) }
  }

  /// Something of so many rounds, after what came before.
  private func begin(_ rounds: Int, _ name: String) {
    state.withLock { state in
      // A run that failed is over as well.
      state.before += state.planned
      (state.planned, state.committed, state.now) = (rounds, 0, name)
    }
  }

  private func line(_ text: String) { terminal.line(text) }

  func end() { terminal.clear() }
}
