import Datasets
import Foundation

/// What earlier updates left out of what was learnt, kept on the client's disk and added to the next one (error
/// feedback, arXiv 1809.07599). It is of one stage: another one trains other layers.
package struct ErrorFeedback: Sendable {
  private let folder: URL

  /// In a client's folder, which exists.
  package init(_ folder: URL) { self.folder = folder }

  private func file(_ stage: Int) -> URL { folder.appendingPathComponent("left-out-\(stage).bin") }
  private func proposal(_ stage: Int) -> URL { folder.appendingPathComponent("left-out-\(stage).next") }

  /// What was left out in a stage so far; zeros where nothing was, or where its length is another.
  package func load(stage: Int, count: Int) -> [Float] {
    guard let bytes = try? Data(contentsOf: file(stage)), bytes.count == 4 * count else {
      return [Float](repeating: 0, count: count)
    }
    return bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
  }

  /// What is left out if the update under way is admitted. Throws ``ClientError/state(_:)``.
  package func propose(_ values: [Float], stage: Int) throws(ClientError) {
    do {
      try values.withUnsafeBytes { Data($0) }.write(to: proposal(stage), options: .atomic)
    } catch {
      throw .state("\(proposal(stage).path): \(error.systemWords)")
    }
  }

  /// The update was judged, or nobody wants it any more: then what it would have left out is forgotten. Throws
  /// ``ClientError/state(_:)`` where what an admitted one has left out cannot be kept.
  package func settle(stage: Int, isAdmitted: Bool) throws(ClientError) {
    if isAdmitted {
      // Other codecs leave nothing out.
      let place = file(stage).path
      guard rename(proposal(stage).path, place) == 0 || errno == ENOENT else {
        throw .state("\(place): \(String(cString: strerror(errno)))")
      }
    } else {
      try? FileManager.default.removeItem(at: proposal(stage))
    }
  }
}
