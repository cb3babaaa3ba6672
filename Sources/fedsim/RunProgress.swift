import Client
import Commands
import Federation
import Foundation
import Server
import Simulation
import Synchronization

/// What a run shows while it works: a line for each committed round and, on a terminal, bars for the whole
/// and for the trainings under way.
final class RunProgress: Sendable {
  private struct State {
    var committed = 0
    var admitted = 0
    var trainings: [String: (step: Int, steps: Int)] = [:]
    var now = "waiting for the clients"
  }

  private let plan: Plan
  let terminal = Terminal()
  private let start = ContinuousClock.now
  private let state = Mutex(State())

  init(_ plan: Plan) { self.plan = plan }

  func note(_ event: Experiment.Event) {
    switch event {
    case .server(let event): note(event)
    case .client(let name, let event): note(name, event)
    case .evaluating: set { $0.now = "evaluating the encoder" }
    case .broken(let line): terminal.line(line)
    case .fineTuning(let step, let steps): set { $0.now = "fine-tuning, step \(step) of \(steps)" }
    }
    draw()
  }

  func end() { terminal.clear() }

  private func note(_ event: ServerEvent) {
    switch event {
    case .assigned(let key, _): set { $0.now = "\(key)" }
    case .admitted: set { $0.admitted += 1 }
    case .calibrating(let key, let step, let steps):
      set { $0.now = "step \(step) of \(steps), calibration of \(key)" }
    case .declined: set { $0.admitted += 1 }
    case .rejected(let key, let client, let rejection):
      terminal.line("\(key): the update of \(client) is rejected, \(rejection.explanation)")
    case .abandoned(let key, let reason):
      set { $0.admitted = 0 }
      terminal.line("\(key) is abandoned: \(reason)")
    case .committed(let round): commit(round)
    default: break
    }
  }

  private func commit(_ round: RoundSummary) {
    set {
      $0.committed += 1
      $0.admitted = 0
    }
    terminal.line(round.line(of: plan))
  }

  private func note(_ name: String, _ event: ClientEvent) {
    switch event {
    case .training(_, let step, let steps, _): set { $0.trainings[name] = (step, steps) }
    case .trained, .dropped, .disconnected: set { $0.trainings[name] = nil }
    default: break
    }
  }

  private func set(_ change: (inout State) -> Void) { state.withLock { change(&$0) } }

  private func draw() {
    terminal.draw { columns in
      let state = state.withLock { $0 }
      let open = state.trainings.values.reduce(0.0) { $0 + Double($1.step) / Double(max($1.steps, 1)) }
      let round = min((Double(state.admitted) + open) / Double(plan.round.cohort), 1)
      let whole = ProgressLine(
        done: Double(state.committed) + round, total: Double(plan.mostRounds), unit: "rounds",
        elapsed: (ContinuousClock.now - start).seconds, text: state.now)
      var lines = [whole.bar(columns: columns)]
      for (name, progress) in state.trainings.sorted(by: { $0.key.precedesNaturally($1.key) }).prefix(8) {
        lines.append(Self.line(name, progress.step, of: progress.steps, columns: columns))
      }
      return lines
    }
  }

  /// A training under way. Where there is little room its bar is short, or left out, and not the count of its steps.
  private static func line(_ name: String, _ step: Int, of steps: Int, columns: Int) -> String {
    let count = "step \(step) of \(steps)"
    let room = columns - 1 - "  \(name)  \(count)".count
    let bar = room < 4 ? "" : Terminal.bar(Double(step) / Double(max(steps, 1)), width: min(room, 16)) + " "
    return "  \(name) \(bar)\(count)"
  }
}
