import Datasets
import Foundation

/// The values that earlier updates omitted, kept on the client's disk and added to the next update (error feedback,
/// arXiv 1809.07599). They belong to one stage, since another stage trains other layers.
package struct ErrorFeedback: Sendable {
  private let folder: URL

  /// Uses the client's folder, which must exist.
  package init(_ folder: URL) { self.folder = folder }

  private func file(_ stage: Int) -> URL { folder.appendingPathComponent("left-out-\(stage).bin") }
  private func proposal(_ stage: Int) -> URL { folder.appendingPathComponent("left-out-\(stage).next") }

  /// Returns the omitted values of a stage; zeros if there are none or if their number differs.
  package func load(stage: Int, count: Int) -> [Float] {
    guard let bytes = try? Data(contentsOf: file(stage)), bytes.count == 4 * count else {
      return [Float](repeating: 0, count: count)
    }
    return bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
  }

  /// Writes the values that are omitted if the pending update is admitted. Throws ``ClientError/state(_:)``.
  package func propose(_ values: [Float], stage: Int) throws(ClientError) {
    do {
      try values.withUnsafeBytes { Data($0) }.write(to: proposal(stage), options: .atomic)
    } catch {
      throw .state("\(proposal(stage).path): \(error.systemWords)")
    }
  }

  /// Keeps the proposed values if the update was admitted, and deletes them otherwise. Throws
  /// ``ClientError/state(_:)`` if they cannot be kept.
  package func settle(stage: Int, isAdmitted: Bool) throws(ClientError) {
    if isAdmitted {
      // Other codecs omit nothing.
      let place = file(stage).path
      guard rename(proposal(stage).path, place) == 0 || errno == ENOENT else {
        throw .state("\(place): \(String(cString: strerror(errno)))")
      }
    } else {
      try? FileManager.default.removeItem(at: proposal(stage))
    }
  }
}
