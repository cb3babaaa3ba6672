import ArgumentParser
import Client
import Commands
import Datasets
import Engine
import Federation
import Foundation
import Synchronization

/// The examples of this device, prepared for an encoder.
final class LocalData: Sendable {
  private let spec: DataSpec
  private let role: DataRole
  private let isStrict: Bool
  private let share: LocalShare?
  private let examples: Mutex<Dataset>
  private let news = BrokenFileNews()

  /// Opens the data before there is a plan, so that errors show before anything is sent.
  init(
    _ spec: DataSpec, role: DataRole = .train, isStrict: Bool, share: LocalShare? = nil
  ) throws(DatasetError) {
    (self.spec, self.role, self.isStrict, self.share) = (spec, role, isStrict, share)
    let all = try spec.dataset(role: role, strict: isStrict)
    try share?.check(all)
    examples = Mutex(all)
  }

  /// Throws unless two examples can be read, the minimum of a batch; a client with fewer is of no use to its server.
  /// Reads no more than necessary.
  func requireEnough() throws(DatasetError) { try opened.requireReadable(2) }

  /// Throws unless there are labels, and an example can be read.
  func requireLabels() throws(DatasetError) {
    guard opened.labels != nil else { throw .unlabelled(for: "a validation", problem: opened.labelProblem) }
    try opened.requireReadable(1)
  }

  /// The examples as opened or, later, as last loaded for an encoder.
  var opened: Dataset { examples.withLock { $0 } }

  /// Returns the examples for an encoder. Loads them again if those opened before do not fit it.
  func fitted(to input: EncoderInput) throws -> Dataset {
    return try examples.withLock { examples in
      if !spec.serves(examples, for: input) {
        examples = try spec.dataset(role: role, for: input, strict: isStrict)
      }
      return examples
    }
  }

  /// Returns the examples that this client trains on under a plan.
  func prepared(for plan: Plan) throws -> Dataset {
    let all = try fitted(to: plan.encoder.input)
    guard let share else { return all }
    let own = try share.examples(of: all, plan)
    try own.requireReadable(2)
    return own
  }

  /// A line about files without the name of an image; nil if there are none.
  var passedOver: String? {
    switch opened {
    case .images(let images): images.passedOver.summary
    case .nodes, .rows: nil
    }
  }

  /// A line about files found broken since the last call; nil if there are none.
  var newlyBroken: String? { news.line(opened.broken) }
}

/// This client's share of the data.
struct LocalShare: Sendable {
  /// The client name before the index, as in a simulation.
  static let stem = "client"

  let partition: Partition
  let share: Share
  /// The option or environment variable that defined the share.
  let source: String

  /// Throws ``DatasetError`` if the examples cannot be partitioned this way, whatever the plan's seed.
  func check(_ examples: Dataset) throws(DatasetError) {
    _ = try partition.split(examples, clients: share.count, seed: 0)
  }

  /// Returns the client's share under a plan, the same that a simulation assigns to this index.
  func examples(of all: Dataset, _ plan: Plan) throws(DatasetError) -> Dataset {
    try share.examples(of: plan.trainingPart(of: all), by: partition, seed: plan.seed)
  }
}

/// The options for a share of the images (docs/schedulers.md).
struct ShareOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Train on one share of the images, divided as in 'fedsim run'. With a KIND such as even, dirichlet:BETA or shards:K, --share selects the share; with auto[:KIND], Slurm, MPI or Kubernetes does. (auto means auto:even)",
      valueName: "kind"))
  var partition: String?

  @Option(
    help: ArgumentHelp(
      "The index of the share, from 0, and the number of shares, such as 0/4.", valueName: "index/count"))
  var share: String?

  func validate() throws {
    guard let share else {
      guard partition == nil || isAutomatic else {
        throw ValidationError(
          "--partition \(partition ?? "") needs --share INDEX/COUNT, or auto:KIND")
      }
      return
    }
    guard Share(parsing: share) != nil else {
      throw ValidationError(
        "--share is INDEX/COUNT, the index from 0 and below the count, the count at most \(Share.counts.upperBound)"
      )
    }
    guard partition != nil else { throw ValidationError("--share needs --partition") }
    guard !isAutomatic else { throw ValidationError("--share and --partition auto cannot be combined") }
  }

  private var isAutomatic: Bool { partition == "auto" || partition?.hasPrefix("auto:") == true }

  /// Returns the requested share; nil for all images. Throws ``CommandFailure``.
  func local(_ environment: [String: String]) throws(CommandFailure) -> LocalShare? {
    guard let text = partition else { return nil }
    let kind =
      isAutomatic
      ? text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).dropFirst().first ?? "even"
      : text[...]
    let partition: Partition
    do { partition = try Partition(parsing: String(kind)) } catch {
      throw CommandFailure(.data, "\(error); or auto, auto:KIND")
    }
    if let share = share.flatMap({ Share(parsing: $0) }) {
      return LocalShare(partition: partition, share: share, source: "--share")
    }
    do {
      let found = try SchedulerShare(environment: environment)
      return LocalShare(partition: partition, share: found.share, source: found.source)
    } catch {
      throw CommandFailure(.usage, "--partition \(text): \(error)")
    }
  }
}
