import Engine
import Foundation
import Support

/// A part of the model in one version: what is asked for, sent and kept.
package struct PartVersion: Sendable, Hashable, Codable {
  /// `stem`, `blocks.0` …, `norm`, `projector`.
  @ForeignText package private(set) var name: String
  package let digest: Digest
  /// Length of its float32 weights.
  package let bytes: Int

  package init(name: String, digest: Digest, bytes: Int) {
    (self.name, self.digest, self.bytes) = (name, digest, bytes)
  }
}

/// The weights of a stage's model at one moment, part by part, as they travel and are stored: float32,
/// little-endian, in layout order.
package struct Snapshot: Sendable {
  package let stage: Stage
  /// In layout order.
  package let manifest: [PartVersion]
  private var weights: [Digest: Data]

  /// Copies all parameters of the stage's model.
  package init(_ stage: Stage, _ parameters: borrowing Storage) {
    var parts: [Data] = []
    for part in stage.model.parts { parts.append(parameters[part.range].bytes) }
    self.init(stage, parts: parts)
  }

  /// From the weights of every part, in layout order.
  package init(_ stage: Stage, parts: [Data]) {
    self.init(stage, versions: parts.map { (Digest(of: $0), $0) })
  }

  private init(_ stage: Stage, versions: [(digest: Digest, weights: Data)]) {
    precondition(versions.count == stage.model.parts.count)
    for (part, version) in zip(stage.model.parts, versions) {
      let count = version.weights.count
      precondition(count == part.range.count * 4, "\(part.name) of \(count) bytes")
    }
    self.stage = stage
    manifest = zip(stage.model.parts, versions).map { part, version in
      PartVersion(name: part.name, digest: version.digest, bytes: version.weights.count)
    }
    weights = Dictionary(versions.map { ($0.digest, $0.weights) }) { first, _ in first }
  }

  /// The same versions without their weights, for whoever outlives those.
  package var outline: Snapshot {
    var outline = self
    outline.weights = [:]
    return outline
  }

  /// The weights of a version; nil if this snapshot has none such.
  package func data(_ digest: Digest) -> Data? { weights[digest] }

  /// The values of a version; none if this snapshot has none such.
  package func floats(_ digest: Digest) -> [Float] {
    guard let data = weights[digest] else { return [] }
    return [Float](unsafeUninitializedCapacity: data.count / 4) { to, initialised in
      data.copyBytes(to: UnsafeMutableRawBufferPointer(to))
      initialised = data.count / 4
    }
  }

  /// What an update is a change of: the digest over the digests of all parts.
  package var base: Digest { Self.base(of: manifest) }

  /// The digest over the digests of parts in order.
  package static func base(of manifest: [PartVersion]) -> Digest {
    Digest(of: Data(manifest.map(\.digest.description).joined(separator: "\n").utf8))
  }

  /// SHA-256 over the encoder's float32 weights in layout order, heads left out.
  package var encoderDigest: Digest {
    var hasher = Hasher256()
    for (part, version) in zip(stage.model.parts, manifest)
    where part.range.upperBound <= stage.model.encoderRange.upperBound {
      hasher.update(weights[version.digest] ?? Data())
    }
    return hasher.finish()
  }

  /// Writes all weights to parameters of the stage's model.
  package func write(into parameters: borrowing Storage) {
    for (part, version) in zip(stage.model.parts, manifest) {
      parameters[part.range].setBytes(weights[version.digest] ?? Data())
    }
  }

  /// The parts of a model that has only these of the blocks (depth dropout), in layout order.
  package func manifest(keeping blocks: [Int]) -> [PartVersion] {
    let kept = Set(blocks)
    return manifest.enumerated().filter { position, _ in
      let block = position - 1
      let indices = stage.model.encoder.blocks
      return !indices.indices.contains(block) || kept.contains(indices[block])
    }.map(\.element)
  }

  /// Those of them that train.
  package func trained(keeping blocks: [Int]) -> [PartVersion] {
    let names = Set(stage.parts.map(\.name))
    return manifest(keeping: blocks).filter { names.contains($0.name) }
  }

  /// The weights of the parts that train, one after the other, where a client's model has the blocks `kept`.
  package func trainedWeights(keeping kept: [Int]) -> [Float] {
    let versions = trained(keeping: kept)
    return [Float](unsafeUninitializedCapacity: versions.reduce(0) { $0 + $1.bytes / 4 }) { to, initialised in
      let raw = UnsafeMutableRawBufferPointer(to)
      var offset = 0
      for version in versions {
        data(version.digest)?.copyBytes(to: UnsafeMutableRawBufferPointer(rebasing: raw[offset...]))
        offset += version.bytes
      }
      initialised = offset / 4
    }
  }

  /// The largest magnitude of the weights of some versions; not a number where one is none.
  package func largestMagnitude(of versions: [PartVersion]) -> Float {
    versions.reduce(0) { most, version in
      guard let data = data(version.digest) else { return most }
      return data.withUnsafeBytes { Elementwise.larger(most, Elementwise.largestMagnitude(bytes: $0)) }
    }
  }

  /// Whether a training that began at the snapshot `old` and led to this one has diverged.
  package func hasDiverged(since old: Snapshot) -> Bool {
    Divergence.isReached(largestMagnitude(of: manifest), after: old.largestMagnitude(of: old.manifest))
  }

  /// The snapshot with some parts replaced, by name.
  package func replacing(parts new: [String: Data]) -> Snapshot {
    Snapshot(
      stage,
      versions: manifest.map { version in
        // What stays, frozen layers above all, has its digest already.
        new[version.name].map { (Digest(of: $0), $0) } ?? (version.digest, weights[version.digest] ?? Data())
      })
  }

  /// The snapshot after a round: the parts that the stage trains are replaced by these, one after the other.
  package func replacing(trained values: [Float]) -> Snapshot {
    precondition(values.count == stage.count, "\(values.count) floats for \(stage.count)")
    let trained = Set(stage.parts.map(\.name))
    var start = 0
    let parts = zip(stage.model.parts, manifest).map { part, version in
      guard trained.contains(part.name) else { return weights[version.digest] ?? Data() }
      defer { start += part.range.count }
      return values[start..<start + part.range.count].withUnsafeBytes { Data($0) }
    }
    return Snapshot(stage, parts: parts)
  }

  /// The encoder's parameters under timm's names.
  package func encoderTensors() -> Safetensors {
    let storage = Storage(stage.model.layout)
    write(into: storage)
    var file = Safetensors()
    for entry in stage.model.layout.entries
    where entry.slot.range.upperBound <= stage.model.encoderRange.upperBound {
      file.add(entry.name, Safetensors.Tensor(shape: entry.shape, values: storage[entry.slot].array()))
    }
    return file
  }
}

extension Matrix {
  /// The floats of a contiguous matrix as they travel: little-endian, as on every machine this runs on.
  package var bytes: Data {
    precondition(isContiguous)
    return Data(bytes: start, count: count * MemoryLayout<Float>.stride)
  }

  /// Sets the floats of a contiguous matrix from bytes of that length.
  package func setBytes(_ data: Data) {
    precondition(isContiguous && data.count == count * MemoryLayout<Float>.stride, "\(data.count) bytes")
    data.withUnsafeBytes {
      UnsafeMutableRawPointer(start).copyMemory(from: $0.baseAddress!, byteCount: $0.count)
    }
  }
}
