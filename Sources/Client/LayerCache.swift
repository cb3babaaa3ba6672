import Datasets
import Engine
import Federation
import Foundation
import Synchronization
import Wire

/// The layer versions that a client keeps on disk, one file each, named by digest.
///
/// A partly received file ends in `.part`; it becomes a version when it is complete and its digest is correct.
package struct LayerCache: Sendable {
  private let folder: URL
  private let arrival = Arrival()

  /// The version being received, whose file stays open from piece to piece.
  private final class Arrival: Sendable {
    private let open = Mutex<(digest: Digest, count: Int, file: FileHandle)?>(nil)

    /// Returns the open file for the next piece of `count` bytes; nil if it is not the next piece.
    func next(_ head: LayerData, count: Int) -> FileHandle? {
      open.withLock { open in
        guard let (digest, offset, file) = open, digest == head.digest, offset == head.offset else {
          return nil
        }
        open = (digest, offset + count, file)
        return file
      }
    }

    func begin(_ head: LayerData, count: Int, in file: FileHandle) {
      open.withLock { $0 = (head.digest, head.offset + count, file) }
    }

    func close() {
      open.withLock { open in
        try? open?.file.close()
        open = nil
      }
    }
  }

  /// Opens the cache in a folder, which it creates if necessary. Throws ``ClientError/state(_:)``.
  package init(_ folder: URL) throws(ClientError) {
    self.folder = folder
    do {
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    } catch {
      throw .state("\(folder.path): \(error.systemWords)")
    }
  }

  private func file(_ digest: Digest) -> URL { folder.appendingPathComponent(digest.description) }

  private func partFile(_ digest: Digest) -> URL { folder.appendingPathComponent("\(digest).part") }

  /// Returns whether a version is here. Its digest is checked on reading.
  package func holds(_ version: PartVersion) -> Bool { size(file(version.digest)) == version.bytes }

  /// Returns the bytes of a version that were received before, which need not be sent again.
  package func received(_ version: PartVersion) -> Int {
    let size = size(partFile(version.digest)) ?? 0
    return size <= version.bytes ? size : 0
  }

  /// Stores a piece of a version. Returns whether the version is complete and correct; deletes a complete version with
  /// a wrong digest, so that it can be fetched again.
  package func store(_ head: LayerData, _ bytes: Data) throws(ClientError) -> Outcome {
    let part = partFile(head.digest)
    do {
      let open = try arrival.next(head, count: bytes.count) ?? begin(head, bytes.count, in: part)
      try open.write(contentsOf: bytes)
      guard head.offset + bytes.count == head.total else { return .incomplete }
      try open.synchronize()
      arrival.close()
      guard Digest(of: try Data(contentsOf: part)) == head.digest else {
        try FileManager.default.removeItem(at: part)
        return .corrupt
      }
      guard rename(part.path, file(head.digest).path) == 0 else {
        throw ClientError.state("\(part.path) cannot be renamed: \(String(cString: strerror(errno)))")
      }
      return .complete
    } catch let error as ClientError {
      arrival.close()
      throw error
    } catch {
      arrival.close()
      throw .state("\(part.path): \(error.systemWords)")
    }
  }

  /// Opens the file of a version for a piece that does not follow the previous one.
  private func begin(_ head: LayerData, _ count: Int, in part: URL) throws -> FileHandle {
    arrival.close()
    if head.offset == 0 {
      guard FileManager.default.createFile(atPath: part.path, contents: nil) else {
        throw ClientError.state("\(part.path) cannot be written")
      }
    }
    guard size(part) ?? -1 == head.offset else {
      throw ClientError.server("a piece of layer \(head.digest) at offset \(head.offset) is out of order")
    }
    let file = try FileHandle(forWritingTo: part)
    try file.seek(toOffset: UInt64(head.offset))
    arrival.begin(head, count: count, in: file)
    return file
  }

  package enum Outcome: Sendable, Hashable {
    case incomplete
    case complete
    case corrupt
  }

  /// Returns the bytes of a version. If they do not match its digest, removes the file and throws ``DamagedLayer``.
  package func read(_ version: PartVersion) throws(DamagedLayer) -> Data {
    let file = file(version.digest)
    guard let data = try? Data(contentsOf: file), Digest(of: data) == version.digest else {
      try? FileManager.default.removeItem(at: file)
      throw DamagedLayer(version: version)
    }
    return data
  }

  /// Keeps a version that was computed here. Returns false if the bytes do not match its digest.
  package func keep(_ bytes: Data, as version: PartVersion) throws(ClientError) -> Bool {
    guard Digest(of: bytes) == version.digest else { return false }
    do {
      try bytes.write(to: file(version.digest), options: .atomic)
    } catch {
      throw .state("\(file(version.digest).path): \(error.systemWords)")
    }
    return true
  }

  /// The digests of the versions in the cache, the latest first.
  package var versions: [Digest] {
    let keys: Set<URLResourceKey> = [.contentModificationDateKey]
    let files =
      (try? FileManager.default.contentsOfDirectory(
        at: folder, includingPropertiesForKeys: Array(keys))) ?? []
    let dated = files.compactMap { file -> (Digest, Date)? in
      guard let digest = Digest(file.lastPathComponent) else { return nil }
      return (digest, (try? file.resourceValues(forKeys: keys).contentModificationDate) ?? .distantPast)
    }
    return dated.sorted { ($0.1, $1.0) > ($1.1, $0.0) }.map(\.0)
  }

  /// Removes every version that is not in the list, complete or partial.
  package func keepOnly(_ digests: [Digest]) {
    arrival.close()
    let kept = Set(digests.map(\.description))
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    for name in names where !kept.contains(name.split(separator: ".").first.map(String.init) ?? name) {
      try? FileManager.default.removeItem(at: folder.appendingPathComponent(name))
    }
  }

  private func size(_ file: URL) -> Int? {
    (try? FileManager.default.attributesOfItem(atPath: file.path))?[.size] as? Int
  }
}

/// The error for a version whose file no longer has the bytes of its digest.
package struct DamagedLayer: Error, CustomStringConvertible {
  package let version: PartVersion

  package var description: String { "layer \(version.digest) is damaged" }
}

/// Decodes the layers of an assignment that arrived as differences.
struct LayerAssembly {
  private let cache: LayerCache
  private let stage: Stage

  init(_ cache: LayerCache, _ stage: Stage) { (self.cache, self.stage) = (cache, stage) }

  /// Stores every part that can be decoded from the cache. Returns the remaining parts, which must be fetched in full.
  /// Throws ``ClientError/state(_:)`` if a file cannot be written.
  func run(_ assignment: Assignment) throws(ClientError) -> [PartVersion] {
    var missing: [PartVersion] = []
    for (part, version) in zip(stage.model.parts, assignment.parts) where !cache.holds(version) {
      if let bytes = bytes(of: version, part, assignment), try cache.keep(bytes, as: version) { continue }
      missing.append(version)
    }
    return missing
  }

  /// Returns the bytes at the end of the delta chain to a version; nil if a step of it cannot be decoded.
  private func bytes(of version: PartVersion, _ part: Model.Part, _ assignment: Assignment) -> Data? {
    func held(_ digest: Digest) -> PartVersion {
      PartVersion(name: part.name, digest: digest, bytes: version.bytes)
    }
    guard let path = assignment.deltaChain(to: version)?.path(holds: { cache.holds(held($0)) }), !path.isEmpty
    else {
      return nil
    }
    var values = [Float](repeating: 0, count: part.range.count)
    if let from = path[0].from {
      guard let bytes = try? cache.read(held(from)), bytes.count == 4 * values.count else { return nil }
      _ = values.withUnsafeMutableBytes { bytes.copyBytes(to: $0) }
    }
    for step in path {
      let coded = PartVersion(name: part.name, digest: step.digest, bytes: step.bytes)
      let coding = UpdateCoding(step.codec, part, of: stage.model)
      guard step.codec != .plain, let bytes = try? cache.read(coded),
        let next = try? coding.decode(bytes, base: values)
      else { return nil }
      values = next
    }
    return values.withUnsafeBytes { Data($0) }
  }
}
