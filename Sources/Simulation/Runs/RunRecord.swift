import Datasets
import Federation
import Foundation
import Server
import Support

/// The settings of a run, in its folder's run.json, so that a resumed run can be compared with them.
package struct RunRecord: Sendable, Codable {
  /// The settings that determine the encoder. A resumed run must have the same.
  package struct Training: Sendable, Equatable, Codable {
    /// The plan's YAML.
    let plan: String
    let clients: Int
    let data: String
    let partition: String
    let dropout: Double
    let link: LinkShape?
  }

  /// The settings of the evaluation, which may differ in a resumed run.
  struct Evaluation: Sendable, Equatable, Codable {
    let testData: String?
    let fineTuningEpochs: Int
    let probeEvery: Int
    /// The options of the analysis of layers; empty for none.
    let analysis: [String]
  }

  package let training: Training
  let evaluation: Evaluation
  /// How often the run was resumed.
  private(set) var resumes = 0

  static let name = "run.json"

  init(_ settings: Experiment.Settings) {
    training = Training(
      plan: settings.plan.yaml(), clients: settings.clients, data: settings.data.description,
      partition: settings.partition.description, dropout: settings.dropout, link: settings.link)
    evaluation = Evaluation(
      testData: settings.testData?.description, fineTuningEpochs: settings.fineTuningEpochs,
      probeEvery: settings.probeEvery, analysis: settings.analysis?.options ?? [])
  }

  /// Reads the record of a run's folder; nil if it has none. Throws ``ExperimentError/folder(_:)``.
  package init?(in folder: URL) throws(ExperimentError) {
    let file = folder.appendingPathComponent(Self.name)
    guard FileManager.default.fileExists(atPath: file.path) else { return nil }
    do {
      self = try JSON.read(RunRecord.self, from: try Data(contentsOf: file))
    } catch {
      throw .folder("\(file.relativePath) cannot be read: the run cannot be resumed")
    }
  }

  func write(to folder: URL) throws {
    try JSON.stored(self).write(to: folder.appendingPathComponent(Self.name), options: .atomic)
  }

  /// Returns the record of a run that resumes the run of this record. Throws ``ExperimentError/folder(_:)`` if the
  /// settings that determine the encoder differ.
  func resumed(with settings: Experiment.Settings) throws(ExperimentError) -> RunRecord {
    var record = RunRecord(settings)
    let differences = record.training.differences(from: training)
    guard differences.isEmpty else {
      let list = differences.prefix(3).joined(separator: "; ")
      let more = differences.count > 3 ? "; and \(differences.count - 3) more" : ""
      throw .folder("\(settings.out.relativePath) holds a run with other settings: \(list)\(more)")
    }
    record.resumes = resumes + 1
    return record
  }
}

extension RunRecord.Training {
  /// Returns the settings that differ from another run's, each as `--clients: 4 there, 8 here`, where "there" is the
  /// other run.
  package func differences(from other: Self) -> [String] {
    var differences: [String] = []
    if plan != other.plan {
      let plans = (try? Plan(yaml: plan, file: ""), try? Plan(yaml: other.plan, file: ""))
      if case (let here?, let there?) = plans {
        differences = here.differences(from: there)
      } else {
        differences = ["the plan"]
      }
    }
    func compare(_ name: String, _ here: String, _ there: String) {
      if here != there { differences.append("\(name): \(there) there, \(here) here") }
    }
    compare("--clients", "\(clients)", "\(other.clients)")
    compare("--data", data, other.data)
    compare("--partition", partition, other.partition)
    compare("--dropout", "\(dropout)", "\(other.dropout)")
    compare("--link", link.map { "\($0)" } ?? "none", other.link.map { "\($0)" } ?? "none")
    return differences
  }
}
