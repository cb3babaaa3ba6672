import ArgumentParser
import Client
import Commands
import Datasets
import Foundation

/// Which part of the images is this client's (docs/schedulers.md).
struct ShareOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Trains on one share of the images, which are shared out as in 'fedsim run': even, dirichlet:BETA or shards:K, with --share; or auto[:KIND], with the share that Slurm, MPI or Kubernetes gives this process. (auto is auto:even)",
      valueName: "kind"))
  var partition: String?

  @Option(help: ArgumentHelp("Which share of how many, from 0, such as 0/4.", valueName: "index/count"))
  var share: String?

  func validate() throws {
    guard let share else {
      guard partition == nil || isAutomatic else {
        throw ValidationError(
          "--partition \(partition ?? "") needs --share INDEX/COUNT, or auto before the kind")
      }
      return
    }
    guard Share(parsing: share) != nil else {
      throw ValidationError(
        "--share is INDEX/COUNT, the index from 0 and below the count, the count at most \(Share.counts.upperBound)"
      )
    }
    guard partition != nil else { throw ValidationError("--share needs --partition") }
    guard !isAutomatic else { throw ValidationError("--share and --partition auto contradict each other") }
  }

  private var isAutomatic: Bool { partition == "auto" || partition?.hasPrefix("auto:") == true }

  /// The share that is asked for; nil where all images are. Throws ``CommandFailure``.
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
