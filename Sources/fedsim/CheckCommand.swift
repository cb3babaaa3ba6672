import ArgumentParser
import Commands
import Engine
import Foundation
import Simulation

struct CheckCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Tests federations under faults and virtual time.",
    discussion: """
      Each seed determines a federation: rules, clients, faulty clients, delays, lost connections, partitions and \
      crashes of either side. Rounds, participation, frames and the SQLite store are the real ones; training is \
      replaced by whole numbers, so that a committed model can be compared to the bit. A seed that fails is printed, \
      and fails again in the same way (docs/checking.md). For example:

        fedsim check --seeds 1..10000
        fedsim check --seeds 4711..4711
      """)

  @Option(help: "The seeds, A..B, both included.")
  var seeds: String = "1..1000"

  @Option(
    help: ArgumentHelp(
      "Instead, feed this number of malformed inputs to the protocol's decoders.", valueName: "inputs"))
  var hostile: Int?

  @Flag(help: "Print one JSON object.")
  var json = false

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

  private func feed(_ inputs: Int, seed: UInt64) async throws {
    let outcome = try await resultUnlessStopped("fedsim") {
      try await HostileBytes.run(inputs: inputs, seed: seed)
    }
    if json { return try StandardOutput.write(Commands.json(outcome)) }
    try StandardOutput.write(
      "\(outcome.inputs) inputs from seed \(seed): \(outcome.rejected) rejected, \(outcome.understood) frames "
        + "understood, at most \(outcome.mostPending) bytes kept")
  }

  /// The totals over all seeds.
  private struct Tally: Encodable {
    struct Failure: Encodable {
      let seed: UInt64
      let reason: String
    }

    var seeds = 0
    var events = 0
    /// The number of committed rounds, and of late updates that were folded in.
    var rounds = 0
    var late = 0
    var failures: [Failure] = []

    /// Adds an outcome. Returns its failure.
    mutating func add(_ outcome: Check.Outcome) -> Failure? {
      (seeds, events) = (seeds + 1, events + outcome.events)
      (rounds, late) = (rounds + outcome.rounds, late + outcome.late)
      let failure = outcome.failure.map { Failure(seed: outcome.seed, reason: $0) }
      if let failure { failures.append(failure) }
      return failure
    }

    var text: String {
      "\(seeds) seeds, \(events) events, \(rounds) rounds committed, \(late) late updates folded in, "
        + "\(failures.count) failed"
    }
  }

  func run() async throws {
    try await reporting("fedsim") {
      let range = try range()
      if let hostile { return try await feed(hostile, seed: range.lowerBound) }
      let terminal = Terminal()
      let tally = try await resultUnlessStopped("fedsim", on: terminal) {
        try await Self.run(range, on: terminal)
      }
      try StandardOutput.write(json ? Commands.json(tally) : tally.text)
      guard tally.failures.isEmpty else { throw ExitCode(CommandFailure.Code.failed.rawValue) }
    }
  }

  private static func run(_ seeds: ClosedRange<UInt64>, on terminal: Terminal) async throws -> Tally {
    let progress = WorkProgress(of: seeds.count, "seeds", on: terminal)
    var tally = Tally()
    for seed in seeds {
      try Task.checkCancellation()
      if let failure = tally.add(try await Check.run(seed: seed)) {
        terminal.line("seed \(seed): \(failure.reason)")
      }
      progress.advance("\(tally.failures.count) failed")
    }
    progress.end()
    return tally
  }
}
