import ArgumentParser
import Commands
import Engine
import Federation
import Foundation
import Simulation
import Support

struct BenchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measures speed and memory, as ratios taken in one run.",
    subcommands: [
      BenchStepCommand.self, BenchSuiteCommand.self, BenchCodecCommand.self, BenchRoundCommand.self,
      BenchRoundServerCommand.self,
    ])
}

struct BenchStepCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "step",
    abstract: "Times optimiser steps of ViT-Tiny against OpenBLAS's own rate.",
    usage: "fedsim bench step [<options>]",
    discussion: """
      GFLOP/s counts the products that are computed, which with --full-last-block are those of every block in full. \
      The reference is OpenBLAS's product of 2048 x 2048 x 2048 with the same number of threads, measured in the same \
      run. For example:

        fedsim bench step --stage 12 --batch 256 --memory 80MB
      """)

  @Option(help: "Which layers train.")
  var strategy: Strategy = .layerWise

  @Option(help: "The stage, 1 to 12; end-to-end has one alone.")
  var stage: Int = 12

  @Option(help: "Images a step, 2 to 4096.")
  var batch: Int = 128

  @Option(help: "Threads of the engine, 1 to 256. (default: all cores)")
  var threads: Int?

  @Option(help: "The self-supervised loss.")
  var ssl: SelfSupervision = .simclr

  @Option(help: "Steps that are timed, 1 to 1000.")
  var steps: Int = 5

  @Option(help: "Images that a worker takes through the encoder at a time.")
  var chunk: Int = 8

  @Option(
    help: ArgumentHelp(
      "What the trainer may take, such as 100MB: it computes in slices to stay below. (default: as much as it wants)",
      valueName: "bytes"))
  var memory: String?

  @Flag(help: "Time the frozen prefix alone.")
  var prefixOnly = false

  @Flag(help: "All tokens through the last block, where the class token's path would do.")
  var fullLastBlock = false

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    guard (1...12).contains(stage) else { throw ValidationError("--stage is 1 to 12") }
    guard (2...4096).contains(batch) else { throw ValidationError("--batch is 2 to 4096") }
    guard memory.map({ ByteCount($0) != nil }) ?? true else {
      throw ValidationError("--memory is a whole number and B, KB, MB, GB, KiB, MiB or GiB")
    }
    guard (1...1000).contains(steps) else { throw ValidationError("--steps is 1 to 1000") }
    guard (1...256).contains(chunk) else { throw ValidationError("--chunk is 1 to 256") }
    guard threads.map((1...256).contains) ?? true else { throw ValidationError("--threads is 1 to 256") }
  }

  func run() async throws {
    try await reporting("fedsim") { try await measure() }
  }

  private func measure() async throws {
    var benchmark = StepBenchmark()
    (benchmark.strategy, benchmark.stage, benchmark.batch) = (strategy, stage, batch)
    benchmark.ssl = ssl
    benchmark.threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
    (benchmark.steps, benchmark.chunk) = (steps, chunk)
    (benchmark.prefixOnly, benchmark.lastBlock) = (prefixOnly, fullLastBlock ? .whole : .readout)
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
      "\(result.strategy), \(result.ssl), stage \(result.stage), batch \(result.batch), \(result.threads) threads"
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
  }
}

extension Strategy: ExpressibleByArgument {}
extension SelfSupervision: ExpressibleByArgument {}
