import Commands
import Simulation
import Synchronization

/// What a comparison shows while it works: its lines, and on a terminal how many of its runs are finished.
final class CompareProgress: Sendable {
  private struct State {
    var runs: WorkProgress?
    var finished = 0
    var now = ""
  }

  private let terminal = Terminal()
  private let state = Mutex(State())

  func note(_ event: StrategyComparison.Event) {
    switch event {
    case .run(let cell, let index, let count, let isKnown):
      line("run \(index) of \(count): \(cell.name)\(isKnown ? ", finished before" : "")")
      state.withLock { state in
        state.runs = state.runs ?? WorkProgress(of: count, "runs", on: terminal)
        (state.finished, state.now) = (index - 1, cell.name)
      }
    case .line(let text): line("  \(text)")
    case .measuring(let variant): line("memory of a client: \(variant.label)")
    case .failed(let failure): line("failed: \(failure)")
    }
    state.withLock { $0.runs?.set($0.finished, $0.now) }
  }

  func line(_ text: String) { terminal.line(text) }

  func end() { terminal.clear() }
}
