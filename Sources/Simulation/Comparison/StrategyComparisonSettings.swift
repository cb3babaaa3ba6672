import Datasets
import Engine
import Federation
import Foundation

extension StrategyComparison {
  package struct Settings: Sendable {
    package var plan: Plan
    package var strategies: [Strategy]
    package var ssl: [SelfSupervision]
    package var seeds: [UInt64]
    package var clients: Int
    package var data: DataSpec
    package var testData: DataSpec
    package var partition: Partition
    package var out: URL
    /// Epochs of fine-tuning at the end of a run; 0: none.
    package var fineTune = 0
    /// Rounds between two probes; 0: none but the last.
    package var probeEvery = 0
    package var cores: Int
    package var threads: Int
    /// Runs that are finished are left as they are.
    package var resumes = false
    /// This program.
    package var executable: URL
    /// As it was typed, for the report.
    package var command: String

    package init(
      plan: Plan, strategies: [Strategy], ssl: [SelfSupervision], seeds: [UInt64], clients: Int,
      data: DataSpec, testData: DataSpec, partition: Partition, out: URL, cores: Int, threads: Int,
      executable: URL, command: String
    ) {
      (self.plan, self.strategies, self.ssl, self.seeds) = (plan, strategies, ssl, seeds)
      (self.clients, self.data, self.testData, self.partition) = (clients, data, testData, partition)
      (self.out, self.cores, self.threads) = (out, cores, threads)
      (self.executable, self.command) = (executable, command)
    }
  }
}

extension StrategyComparison.Settings {
  /// What `fedsim run` is told for a variant, beside the plan and the folder.
  func options(_ variant: ComparisonVariant) -> [String] {
    // A single client has all images, however they would be shared out.
    let isAlone = variant.training == .centralised
    var options = [
      "--clients", "\(isAlone ? 1 : clients)", "--data", "\(data)", "--test-data", "\(testData)",
      "--partition", "\(isAlone ? .even : partition)", "--cores", "\(cores)", "--threads",
      "\(variant.threads(threads, cores: cores))",
    ]
    if fineTune > 0 { options += ["--fine-tune", "\(fineTune)"] }
    if probeEvery > 0 { options += ["--probe-every", "\(probeEvery)"] }
    return options
  }
}
