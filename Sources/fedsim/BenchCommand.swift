import ArgumentParser
import Commands
import Datasets
import Engine
import Federation
import Foundation
import Simulation
import Support

struct BenchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measures speed and memory, as ratios taken in one run.",
    subcommands: [
      BenchStepCommand.self, BenchSuiteCommand.self, BenchViewsCommand.self, BenchGraphCommand.self,
      BenchCodecCommand.self, BenchRoundCommand.self,
      BenchRoundServerCommand.self,
    ])
}

struct BenchStepCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "step",
    abstract: "Times optimiser steps of ViT-Tiny against OpenBLAS's own rate.",
    usage: "fedsim bench step [<options>]",
    discussion: """
      GFLOP/s counts the matrix products that are computed. The reference is OpenBLAS's product of 2048 x 2048 x 2048 \
      with the same number of threads, measured in the same run. For example:

        fedsim bench step --stage 12 --batch 256 --memory 80MB
      """)

  @Option(help: "Which layers train.")
  var strategy: Strategy = .layerWise

  @Option(help: "The stage, 1 to 12; end-to-end has only one.")
  var stage: Int = 12

  @Option(help: "Images a step, 2 to 4096.")
  var batch: Int = 128

  @Option(help: "Threads of the engine, 1 to 256. (default: all cores)")
  var threads: Int?

  @Option(help: "The self-supervised loss.")
  var objective: ObjectiveKind = .simclr

  @Option(help: "Steps that are timed, 1 to 1000.")
  var steps: Int = 5

  @Option(help: "Images that a worker processes at a time.")
  var chunk: Int = 8

  @Option(
    help: ArgumentHelp(
      "The trainer's memory limit, such as 100MB: it computes in slices to stay below. (default: no limit)",
      valueName: "bytes"))
  var memory: String?

  @Option(
    help: ArgumentHelp(
      "Add a bottleneck with this order of its entropy, 1.0001 to 100, and compare with a step without it.",
      valueName: "alpha"))
  var bottleneck: Double?

  @Flag(help: "Time only the frozen prefix.")
  var prefixOnly = false

  @Flag(help: "Compute the last block for all tokens, not only for the class token.")
  var fullLastBlock = false

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    guard objective.trainsOnBatches else {
      throw ValidationError("--objective \(objective.rawValue) has no steps on batches")
    }
    guard (1...12).contains(stage) else { throw ValidationError("--stage is 1 to 12") }
    guard (2...4096).contains(batch) else { throw ValidationError("--batch is 2 to 4096") }
    guard memory.map({ ByteCount($0) != nil }) ?? true else {
      throw ValidationError("--memory is a whole number and B, KB, MB, GB, KiB, MiB or GiB")
    }
    guard (1...1000).contains(steps) else { throw ValidationError("--steps is 1 to 1000") }
    guard bottleneck.map((1.0001...100).contains) ?? true else {
      throw ValidationError("--bottleneck is 1.0001 to 100")
    }
    guard !prefixOnly || bottleneck == nil else {
      throw ValidationError("--bottleneck cannot be combined with --prefix-only")
    }
    guard (1...256).contains(chunk) else { throw ValidationError("--chunk is 1 to 256") }
    guard threads.map((1...256).contains) ?? true else { throw ValidationError("--threads is 1 to 256") }
  }

  func run() async throws {
    try await reporting("fedsim") { try await measure() }
  }

  private func measure() async throws {
    var benchmark = StepBenchmark()
    (benchmark.strategy, benchmark.stage, benchmark.batch) = (strategy, stage, batch)
    benchmark.objective = objective
    benchmark.threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
    (benchmark.steps, benchmark.chunk) = (steps, chunk)
    (benchmark.prefixOnly, benchmark.lastBlock) = (prefixOnly, fullLastBlock ? .whole : .readout)
    benchmark.bottleneck = bottleneck
    benchmark.memory = memory.flatMap { ByteCount($0)?.bytes }
    let ready = benchmark
    let result: StepBenchmark.Result
    do {
      result = try await resultUnlessStopped("fedsim") {
        try await TrainingThread.abandonable("benchmark") { try ready.run() }
      }
    } catch let error as MemoryPlan.TooSmall {
      throw CommandFailure(.memory, error.description)
    }
    if json { return try StandardOutput.write(Commands.json(result)) }
    try StandardOutput.write(
      "\(result.strategy), \(result.objective), stage \(result.stage), batch \(result.batch), \(result.threads) threads"
    )
    try StandardOutput.write(
      String(
        format: "step    %.3f s at least, %.3f s median", result.stepSeconds.min, result.stepSeconds.median))
    try StandardOutput.write(
      String(
        format: "rate    %.1f GFLOP/s, %.2f of sgemm's %.1f", result.gflops, result.fraction,
        result.sgemmGflops))
    try StandardOutput.write(
      String(format: "memory  %.0f MB resident at most", Double(result.peakMemoryBytes) / 1e6))
    if let planned = result.plannedMemoryBytes, let got = result.trainerMemoryBytes {
      try StandardOutput.write(
        String(
          format: "planned %.1f MB for the trainer; it took %.1f MB", Double(planned) / 1e6, Double(got) / 1e6
        ))
    }
    if let share = result.bottleneckShare {
      try StandardOutput.write(
        String(format: "bottleneck %+.1f %% of a step without it, one after the other", 100 * share))
    }
  }
}

extension Strategy: ExpressibleByArgument {}
extension ObjectiveKind: ExpressibleByArgument {}

struct BenchRoundCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "round",
    abstract: "Times rounds of clients that do not train, at a real server with a real store.",
    usage: "fedsim bench round [<options>]",
    discussion: """
      Each client receives the whole model in every round and sends it back. The server is a process of its own, whose \
      memory is measured. For example:

        fedsim bench round --clients 100 --rounds 3
      """)

  @Option(help: "Clients, 1 to 10000, all of which take part in every round.")
  var clients: Int = 10

  @Option(help: "Approximate bytes of the model, 20000 to 1000000000.")
  var bytes: Int = 4_800_000

  @Option(help: "Rounds, 1 to 10000.")
  var rounds: Int = 5

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    guard (1...10_000).contains(clients) else { throw ValidationError("--clients is 1 to 10000") }
    guard (20_000...1_000_000_000).contains(bytes) else {
      throw ValidationError("--bytes is 20000 to 1000000000")
    }
    guard (1...10_000).contains(rounds) else { throw ValidationError("--rounds is 1 to 10000") }
  }

  func run() async throws {
    try await reporting("fedsim") {
      Descriptors.raiseLimit()
      let benchmark = RoundBenchmark(clients: clients, bytes: bytes, rounds: rounds)
      let result = try await resultUnlessStopped("fedsim") {
        try await benchmark.run { ["bench", "round-server", $0.path, $1.path] }
      }
      if json { return try StandardOutput.write(Commands.json(result)) }
      try StandardOutput.write(
        String(
          format:
            "%d clients, %.2f MB each way: %.3f s a round, %.1f MB a round, server at most %.1f MB resident",
          result.clients, Double(result.modelBytes) / 1e6, result.secondsPerRound,
          Double(result.bytesPerRound) / 1e6, Double(result.serverPeakMemoryBytes) / 1e6))
    }
  }
}

/// The server of `bench round`, which starts it as a separate process.
struct BenchRoundServerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "round-server", shouldDisplay: false)

  @Argument var plan: String
  @Argument var folder: String

  func run() async throws {
    try await reporting("fedsim") {
      Descriptors.raiseLimit()
      let peak = try await RoundBenchmark.serve(
        try readPlan(plan), in: URL(fileURLWithPath: folder, isDirectory: true)
      ) { StandardError.shared.write("\($0)\n") }
      try StandardOutput.write("\(peak)")
    }
  }
}

struct BenchCodecCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "codec",
    abstract: "Times the coding of a plan's updates, as bytes of float32 a second of one core.",
    discussion: """
      "numbers" is the rate of computing the coded numbers, "coded" that with compression; "decoded" and "of which \
      numbers" are the rates of the reverse. For example:

        fedsim bench codec plan.yaml
      """)

  @Argument(help: "The plan; an update of its first stage is coded.", completion: .plan)
  var plan: String

  @Flag(help: "Print JSON.")
  var json = false

  func run() async throws {
    try await reporting("fedsim") {
      let plan = try readPlan(plan)
      let rows = try await resultUnlessStopped("fedsim") {
        try await TrainingThread.abandonable("benchmark") { try CodecBenchmark(plan).run() }
      }
      if json { return try StandardOutput.write(Commands.json(rows)) }
      try StandardOutput.write("codec      of float32   numbers     coded   decoded  of which numbers, MB/s")
      for row in rows {
        try StandardOutput.write(
          row.codec.padding(toLength: 10, withPad: " ", startingAt: 0)
            + String(
              format: "%9.1f %% %9.0f %9.0f %9.0f %9.0f", 100 * Double(row.codedBytes) / Double(row.bytes),
              row.numbersBytesPerSecond / 1e6, row.encodeBytesPerSecond / 1e6, row.decodeBytesPerSecond / 1e6,
              row.decodeNumbersBytesPerSecond / 1e6))
      }
    }
  }
}

struct BenchSuiteCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "suite",
    abstract: "Times a set of steps of ViT-Tiny, each in a process of its own, and prints one table.",
    discussion: """
      Memory is each process's peak of resident memory. The rate counts the matrix products that are computed; the \
      fraction is relative to OpenBLAS's product of 2048 x 2048 x 2048 in the same process. The command takes some \
      minutes. For example:

        fedsim bench suite
      """)

  /// The names of the timed cases, with their options of `bench step`.
  private static let cases: [(name: String, options: [String])] = [
    ("frozen prefix, 128", ["--prefix-only"]),
    ("layer-wise 12, 128, full last block", ["--full-last-block"]),
    ("layer-wise 12, 128", []),
    ("layer-wise 12, 128, one thread", ["--threads", "1"]),
    ("layer-wise 12, 256", ["--batch", "256"]),
    ("layer-wise 12, 256, in 80 MB", ["--batch", "256", "--memory", "80MB"]),
    ("layer-wise 1, 128", ["--stage", "1"]),
    ("progressive 6, 128", ["--strategy", "progressive", "--stage", "6"]),
    ("end-to-end, 128", ["--strategy", "end-to-end"]),
    ("end-to-end, 256", ["--strategy", "end-to-end", "--batch", "256", "--steps", "3"]),
  ]

  @Flag(help: "Print JSON: what 'bench step' measured, by case.")
  var json = false

  func run() async throws {
    try await reporting("fedsim") {
      let results = try await resultUnlessStopped("fedsim") { [json] in try await Self.run(isShown: !json) }
      if json { return try StandardOutput.write(Commands.json(results)) }
      try Self.compare(results, batch: 128)
      try Self.compare(results, batch: 256)
    }
  }

  /// Times all cases in turn. If `isShown`, prints each as a line of a table.
  private static func run(isShown: Bool) async throws -> [String: StepBenchmark.Result] {
    if isShown {
      try StandardOutput.write(
        "case                                     min s  median s  GFLOP/s   sgemm  fraction  memory MB")
    }
    var results: [String: StepBenchmark.Result] = [:]
    for (name, options) in cases {
      let result = try await measure(options)
      results[name] = result
      if isShown { try StandardOutput.write(line(name, result)) }
    }
    return results
  }

  private static func line(_ name: String, _ result: StepBenchmark.Result) -> String {
    name.padding(toLength: 38, withPad: " ", startingAt: 0)
      + String(
        format: "%8.3f  %8.3f  %7.1f  %6.1f  %8.2f  %9.0f", result.stepSeconds.min, result.stepSeconds.median,
        result.gflops, result.sgemmGflops, result.fraction, Double(result.peakMemoryBytes) / 1e6)
  }

  private static func compare(_ results: [String: StepBenchmark.Result], batch: Int) throws {
    guard let layerWise = results["layer-wise 12, \(batch)"], let endToEnd = results["end-to-end, \(batch)"]
    else { return }
    try StandardOutput.write(
      String(
        format: "batch %d, end-to-end over layer-wise: %.1f times the memory, %.1f times the time", batch,
        Double(endToEnd.peakMemoryBytes) / Double(layerWise.peakMemoryBytes),
        endToEnd.stepSeconds.median / layerWise.stepSeconds.median))
  }

  /// Runs `bench step` with the options in a separate process, to measure its memory alone.
  private static func measure(_ options: [String]) async throws -> StepBenchmark.Result {
    let process = OwnProcess(URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath())
    let outcome = try await process.run(["bench", "step", "--json"] + options, keepingOutput: true)
    guard outcome.code == 0 else {
      throw CommandFailure(
        .failed, "bench step \(options.joined(separator: " ")) ended with \(outcome.code)")
    }
    return try JSON.read(from: outcome.output)
  }
}
