import Federation
import Foundation

/// Updates on their way in, one file each: a transfer that was cut off goes on where it stopped, also after the
/// server itself was away. Nothing here is acknowledged, so nothing here need survive a power cut.
package struct UpdateSpool: Sendable {
  private let folder: URL

  /// Opens the spool in a folder, which is created. Throws ``StoreError``.
  package init(_ folder: URL) throws(StoreError) {
    self.folder = folder
    do {
      try FileManager.default.createDirectory(
        at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
      throw StoreError("\(folder.path): \(error.localizedDescription)")
    }
  }

  private func file(_ client: String, _ digest: Digest) -> URL {
    folder.appendingPathComponent("\(digest.description.prefix(32)).\(client)")
  }

  /// Bytes of an offered update that are here already; what is here of the client's other updates is removed.
  package func begin(_ offer: UpdateOffer, from client: String) -> Int {
    let own = file(client, offer.digest)
    for name in names where name.dropFirst(33) == client && name != own.lastPathComponent {
      try? FileManager.default.removeItem(at: folder.appendingPathComponent(name))
    }
    let size = size(own)
    guard size <= offer.bytes else {
      try? FileManager.default.removeItem(at: own)
      return 0
    }
    return size
  }

  /// Adds a piece behind what is here. Throws ``StoreError`` where it cannot be written.
  package func append(_ bytes: Data, to offer: UpdateOffer, from client: String) throws(StoreError) {
    let file = file(client, offer.digest)
    do {
      if !FileManager.default.fileExists(atPath: file.path) {
        guard
          FileManager.default.createFile(
            atPath: file.path, contents: nil, attributes: [.posixPermissions: 0o600])
        else { throw StoreError("\(file.path) cannot be created") }
      }
      let handle = try FileHandle(forWritingTo: file)
      defer { try? handle.close() }
      try handle.seekToEnd()
      try handle.write(contentsOf: bytes)
    } catch let error as StoreError {
      throw error
    } catch {
      throw StoreError("\(file.path): \(error.localizedDescription)")
    }
  }

  /// The bytes of an update that is whole, which leave the spool.
  package func take(_ offer: UpdateOffer, from client: String) -> Data {
    let file = file(client, offer.digest)
    defer { try? FileManager.default.removeItem(at: file) }
    return (try? Data(contentsOf: file)) ?? Data()
  }

  private var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [] }

  private func size(_ file: URL) -> Int {
    (try? FileManager.default.attributesOfItem(atPath: file.path))?[.size] as? Int ?? 0
  }
}
