import ArgumentParser
import Commands
import Datasets
import Engine
import Federation
import Simulation
import Support

struct BenchViewsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "views",
    abstract: "Times decoding and augmentation of images, as shares of a plan's steps.",
    usage: "fedsim bench views <plan> [<options>] --data <spec>",
    discussion: """
      Decoding and views are timed on one core with files that the kernel has in memory, and steps on views that are \
      ready; a share is that of a whole step. With "decoded" an image is decoded once for its views, as in the first \
      epoch or if the cache is small. For example:

        fedsim bench views plan.yaml --data folder:photos --batch 32
      """)

  @Argument(help: "The plan, which trains on images.", completion: .plan)
  var plan: String

  @Option(help: ArgumentHelp("The images (docs/data.md).", valueName: "spec"))
  var data: String

  @Option(help: "Images that are decoded and augmented, 1 to 100000.")
  var images: Int = 64

  @Option(help: "Images a step, 2 to 65536. (default: the plan's)")
  var batch: Int?

  @Option(help: "Threads of a step, 1 to 256.")
  var threads: Int = 1

  @Option(help: "Steps of each stage that are timed, 1 to 1000.")
  var steps: Int = 3

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    guard (1...100_000).contains(images) else { throw ValidationError("--images is 1 to 100000") }
    guard batch.map((2...PlanLimits.batch).contains) ?? true else {
      throw ValidationError("--batch is 2 to 65536")
    }
    guard (1...256).contains(threads) else { throw ValidationError("--threads is 1 to 256") }
    guard (1...1000).contains(steps) else { throw ValidationError("--steps is 1 to 1000") }
  }

  func run() async throws {
    try await reporting("fedsim") {
      let plan = try readPlan(plan)
      guard case .images = plan.encoder.input else {
        throw CommandFailure(
          .data, "the plan's encoder takes \(plan.encoder.input.noun)s, which have no views")
      }
      let result: ViewBenchmark.Result
      do {
        var benchmark = ViewBenchmark(plan, data: try DataSpec(parsing: data))
        (benchmark.images, benchmark.batch) = (images, batch)
        (benchmark.threads, benchmark.steps) = (threads, steps)
        let ready = benchmark
        result = try await resultUnlessStopped("fedsim") {
          try await TrainingThread.abandonable("benchmark") { try ready.run() }
        }
      } catch let error as DatasetError {
        throw CommandFailure(.data, error.description)
      }
      if json { return try StandardOutput.write(Commands.json(result)) }
      for line in Self.lines(result) { try StandardOutput.write(line) }
    }
  }

  private static func lines(_ result: ViewBenchmark.Result) -> [String] {
    let operations = ["crop", "flip", "jitter", "grayscale", "blur", "solarize"].map {
      $0 + String(format: " %.2f", max(result.operations[$0] ?? 0, 0))
    }
    let head = [
      "\(result.images) images, views of \(result.channels) x \(result.side) x \(result.side), on one core",
      String(format: "decoding  %.2f ms an image", result.decodeMilliseconds),
      String(
        format: "a view    %.2f ms; if done: %@", result.viewMilliseconds,
        operations.joined(separator: ", ")),
      " stage  step without, ms an image  views' share  decoded",
    ]
    return head
      + result.stages.map {
        String(
          format: "%6d  %26.2f  %11.1f %%  %5.1f %%", $0.stage, $0.stepMilliseconds, 100 * $0.viewShare,
          100 * $0.decodingAndViewShare)
      }
  }
}
