import Datasets
import Engine
import Federation
import Foundation
import Support

/// Keeps a finished update on the client's disk until the server has judged it. After a crash or a lost connection
/// the client offers it again and need not repeat the training.
struct PendingUpdateStore: Sendable {
  private let folder: URL

  private var head: URL { folder.appendingPathComponent("update.json") }
  private var bytes: URL { folder.appendingPathComponent("update.bin") }

  /// Uses the client's folder, which must exist.
  init(_ folder: URL) { self.folder = folder }

  /// Stores an update in place of any other. Throws ``ClientError/state(_:)``.
  func keep(_ update: LocalWork.Update) throws(ClientError) {
    do {
      // The head is written last: bytes without a head are ignored.
      try? FileManager.default.removeItem(at: head)
      try update.bytes.write(to: bytes, options: .atomic)
      try JSON.stored(update.offer).write(to: head, options: .atomic)
    } catch {
      throw .state("\(folder.path): \(error.systemWords)")
    }
  }

  /// Returns the update for an assignment; nil if there is none or it is damaged.
  func update(for assignment: Assignment) -> LocalWork.Update? {
    guard let data = try? Data(contentsOf: head),
      let offer = try? JSON.read(UpdateOffer.self, from: data),
      offer.key == assignment.key, offer.base == Snapshot.base(of: assignment.parts),
      let bytes = try? Data(contentsOf: bytes), bytes.count == offer.bytes, Digest(of: bytes) == offer.digest
    else { return nil }
    return LocalWork.Update(offer: offer, bytes: bytes)
  }

  /// Deletes the update of a round, after it was judged or the round was dropped.
  func clear(_ key: RoundKey) {
    guard let data = try? Data(contentsOf: head),
      let offer = try? JSON.read(UpdateOffer.self, from: data), offer.key == key
    else { return }
    try? FileManager.default.removeItem(at: head)
    try? FileManager.default.removeItem(at: bytes)
  }
}
