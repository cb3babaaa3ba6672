import Federation
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
      throw .state("\(proposal(stage).path): \(error.systemReason)")
    }
  }

  /// The update was judged, or nobody wants it any more: then what it would have left out is forgotten.
  package func settle(stage: Int, isAdmitted: Bool) {
    if isAdmitted {
      _ = rename(proposal(stage).path, file(stage).path)
    } else {
      try? FileManager.default.removeItem(at: proposal(stage))
    }
  }
}
