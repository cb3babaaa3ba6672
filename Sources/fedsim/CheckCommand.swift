import ArgumentParser
import Commands
import Foundation
import Simulation

struct CheckCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Runs federations under faults and virtual time, and checks what must hold.",
    discussion: """
      Every seed is a federation of its own: rules, clients, liars, delays, lost connections, partitions and
      crashes of either side follow from it. Rounds, participation, frames and the SQLite store are the real
      ones; training is replaced by whole numbers, so that a committed model can be compared to the bit. A seed
      that fails is printed, and fails again in the same way.
      """)

  @Option(help: "The seeds, A..B, both included.")
  var seeds: String = "1..1000"

  @Option(help: "Feed the protocol with so many inputs that nobody should send, instead.")
  var hostile: Int?

  func validate() throws {
    _ = try range()
    guard hostile.map({ $0 > 0 }) ?? true else { throw ValidationError("--hostile is a number above 0") }
  }

  private func range() throws -> ClosedRange<UInt64> {
    let parts = seeds.components(separatedBy: "..")
    guard parts.count == 2, let first = UInt64(parts[0]), let last = UInt64(parts[1]), first <= last else {
      throw ValidationError("--seeds is A..B, two whole numbers, the smaller first")
    }
    return first...last
  }

  private func feed(_ inputs: Int, seed: UInt64) throws {
    let outcome = try HostileBytes.run(inputs: inputs, seed: seed)
    print(
      "\(outcome.inputs) inputs from seed \(seed): \(outcome.refused) refused, \(outcome.understood) frames "
        + "understood, at most \(outcome.mostPending) bytes kept")
  }

  func run() async throws {
    try await reporting("fedsim") {
      let range = try range()
      if let hostile { return try feed(hostile, seed: range.lowerBound) }
      let terminal = Terminal()
      var (rounds, late, events, failures): (Int, Int, Int, [Check.Outcome]) = (0, 0, 0, [])
      for seed in range {
        let outcome = try Check.run(seed: seed)
        (rounds, late, events) = (rounds + outcome.rounds, late + outcome.late, events + outcome.events)
        if let failure = outcome.failure {
          failures.append(outcome)
          terminal.line("seed \(seed): \(failure)")
        }
        let share = Double(seed - range.lowerBound + 1) / Double(range.count)
        terminal.draw { ["\(Terminal.bar(share))  seed \(seed), \(failures.count) failed"] }
      }
      terminal.clear()
      print(
        "\(range.count) seeds, \(events) events, \(rounds) rounds committed, \(late) late updates folded in, "
          + "\(failures.count) failed")
      guard failures.isEmpty else { throw ExitCode(1) }
    }
  }
}
