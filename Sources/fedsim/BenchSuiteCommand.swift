import ArgumentParser
import Commands
import Engine
import Foundation
import Simulation
import Support

struct BenchSuiteCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "suite",
    abstract: "Times a set of steps of ViT-Tiny, each in a process of its own, and prints one table.",
    discussion: """
      Memory is what each process had resident at most. The rate counts the products that are computed; the fraction \
      is of OpenBLAS's product of 2048 x 2048 x 2048 in the same process. It takes some minutes. For example:

        fedsim bench suite
      """)

  /// What is timed, and the options of `bench step` for it.
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

  /// Times all cases, one after the other; `isShown`: each is a line of the table as it comes.
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

  /// Runs `bench step` with the options in a process of its own, so that its memory is its own.
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
