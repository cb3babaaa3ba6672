import Federation
import Foundation

extension Plan {
  /// What stages still to begin start from; nil where the plan names no file, or none of them is left after
  /// `stage`, the last one of which a round is committed. `folder` is the plan's own.
  ///
  /// Throws ``ServerError/initial(_:)`` where the file cannot be used, or is another than the job began with, and
  /// ``StoreError``.
  func initialWeights(
    in folder: URL, after stage: Int, _ store: Store, _ job: JobRecord
  ) throws -> InitialWeights? {
    guard stage < stages, let (weights, file) = try openInitial(in: folder, before: stage + 1) else {
      return nil
    }
    let noted = try store.noteInitial(weights.digest, of: job)
    guard noted == weights.digest else {
      throw ServerError.initial(
        "\(file): it is not the file that the job began with (SHA-256 \(weights.digest), where that was \(noted))"
      )
    }
    return weights
  }

  /// Opens the files that the plan names, as a job that begins needs them, so that what is wrong with them shows before
  /// there is a database. `folder` is the plan's own. Throws ``ServerError``.
  package func checkFiles(in folder: URL) throws(ServerError) {
    _ = try openInitial(in: folder, before: 1)
    _ = try Calibrator(self, threads: 1)
  }

  /// The plan's initial weights and the path of their file; nil where the plan names none. `stage` is the next one to
  /// begin.
  private func openInitial(
    in folder: URL, before stage: Int
  ) throws(ServerError) -> (weights: InitialWeights, file: String)? {
    guard let initial else { return nil }
    let base = URL(fileURLWithPath: folder.path, isDirectory: true)
    let file = URL(fileURLWithPath: initial, relativeTo: base).path
    guard let data = FileManager.default.contents(atPath: file) else {
      throw .initial(
        "\(file): there is no such file, or it cannot be read, and stage \(stage) starts from it")
    }
    do {
      return (try InitialWeights(parsing: data, for: encoder), file)
    } catch {
      throw .initial("\(file): \(error)")
    }
  }
}
