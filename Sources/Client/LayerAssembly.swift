import Engine
import Federation
import Foundation
import Wire

/// Puts together the layers of an assignment that came as differences.
struct LayerAssembly {
  private let cache: LayerCache
  private let stage: Stage

  init(_ cache: LayerCache, _ stage: Stage) { (self.cache, self.stage) = (cache, stage) }

  /// Keeps every part that can be made of what is here. Returns the others, which are to be fetched as they are. Throws
  /// ``ClientError/state(_:)`` where nothing can be written.
  func run(_ assignment: Assignment) throws(ClientError) -> [PartVersion] {
    var missing: [PartVersion] = []
    for (part, version) in zip(stage.model.parts, assignment.parts) where !cache.holds(version) {
      if let bytes = bytes(of: version, part, assignment), try cache.keep(bytes, as: version) { continue }
      missing.append(version)
    }
    return missing
  }

  /// The bytes at the end of the delta chain to a version; nil where one of its steps cannot be taken.
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
