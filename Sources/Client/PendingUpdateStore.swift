import Datasets
import Engine
import Federation
import Foundation
import Support

/// A finished update on the client's disk until the server's verdict is heard: after a crash or a lost
/// connection it is offered again, and nothing is trained twice.
struct PendingUpdateStore: Sendable {
  private let folder: URL

  private var head: URL { folder.appendingPathComponent("update.json") }
  private var bytes: URL { folder.appendingPathComponent("update.bin") }

  /// The store in a client's folder, which exists.
  init(_ folder: URL) { self.folder = folder }

  /// Keeps an update in place of any other. Throws ``ClientError/state(_:)``.
  func keep(_ update: LocalWork.Update) throws(ClientError) {
    do {
      // The head goes last: without it the bytes are nothing.
      try? FileManager.default.removeItem(at: head)
      try update.bytes.write(to: bytes, options: .atomic)
      try JSON.stored(update.offer).write(to: head, options: .atomic)
    } catch {
      throw .state("\(folder.path): \(error.systemWords)")
    }
  }

  /// The update that was made for an assignment; nil where there is none, or where it is damaged.
  func update(for assignment: Assignment) -> LocalWork.Update? {
    guard let data = try? Data(contentsOf: head),
      let offer = try? JSON.read(UpdateOffer.self, from: data),
      offer.key == assignment.key, offer.base == Snapshot.base(of: assignment.parts),
      let bytes = try? Data(contentsOf: bytes), bytes.count == offer.bytes, Digest(of: bytes) == offer.digest
    else { return nil }
    return LocalWork.Update(offer: offer, bytes: bytes)
  }

  /// Forgets the update of a round: it is judged, or nobody wants it any more.
  func clear(_ key: RoundKey) {
    guard let data = try? Data(contentsOf: head),
      let offer = try? JSON.read(UpdateOffer.self, from: data), offer.key == key
    else { return }
    try? FileManager.default.removeItem(at: head)
    try? FileManager.default.removeItem(at: bytes)
  }
}
