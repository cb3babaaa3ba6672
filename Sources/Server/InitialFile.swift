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
    guard let initial, stage < stages else { return nil }
    let base = URL(fileURLWithPath: folder.path, isDirectory: true)
    let file = URL(fileURLWithPath: initial, relativeTo: base).path
    guard let data = FileManager.default.contents(atPath: file) else {
      throw ServerError.initial(
        "\(file): there is no such file, or it cannot be read, and stage \(stage + 1) starts from it")
    }
    let weights: InitialWeights
    do {
      weights = try InitialWeights(parsing: data, for: encoder)
    } catch {
      throw ServerError.initial("\(file): \(error)")
    }
    let noted = try store.noteInitial(weights.digest, of: job)
    guard noted == weights.digest else {
      throw ServerError.initial(
        "\(file): it is not the file that the job began with (SHA-256 \(weights.digest), where that was \(noted))"
      )
    }
    return weights
  }
}
