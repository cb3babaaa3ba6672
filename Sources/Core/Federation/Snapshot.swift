import Engine
import Foundation
import Support

/// A version of a part of the model, which is requested, sent and stored as a unit.
package struct PartVersion: Sendable, Hashable, Codable {
  /// The name of the part: `stem`, `blocks.0` …, `norm`, `projector`.
  @ForeignText package private(set) var name: String
  package let digest: Digest
  /// The number of bytes of its float32 weights.
  package let bytes: Int

  package init(name: String, digest: Digest, bytes: Int) {
    (self.name, self.digest, self.bytes) = (name, digest, bytes)
  }
}

/// The weights of a stage's model at one time, by part, as transmitted and stored: little-endian float32, in layout
/// order.
package struct Snapshot: Sendable {
  package let stage: Stage
  /// The versions in layout order.
  package let manifest: [PartVersion]
  /// The layers that are not in the stage's model because they wait for their stage in a later lap: blocks, and exits
  /// with readout and classifier, in order of depth.
  package let waiting: [PartVersion]
  private var weights: [Digest: Data]

  /// Copies all parameters of the stage's model.
  package init(_ stage: Stage, _ parameters: borrowing Storage) {
    var parts: [Data] = []
    for part in stage.model.parts { parts.append(parameters[part.range].bytes) }
    self.init(stage, parts: parts)
  }

  /// Creates a snapshot from the weights of all parts, in layout order, and those of the layers that wait.
  package init(_ stage: Stage, parts: [Data], waiting: [(name: String, weights: Data)] = []) {
    let others = waiting.map {
      (
        version: PartVersion(name: $0.name, digest: Digest(of: $0.weights), bytes: $0.weights.count),
        weights: $0.weights
      )
    }
    self.init(stage, versions: parts.map { (Digest(of: $0), $0) }, waiting: others)
  }

  private init(
    _ stage: Stage, versions: [(digest: Digest, weights: Data)],
    waiting: [(version: PartVersion, weights: Data)]
  ) {
    precondition(versions.count == stage.model.parts.count)
    for (part, version) in zip(stage.model.parts, versions) {
      let count = version.weights.count
      precondition(count == part.range.count * 4, "\(part.name) of \(count) bytes")
    }
    self.stage = stage
    manifest = zip(stage.model.parts, versions).map { part, version in
      PartVersion(name: part.name, digest: version.digest, bytes: version.weights.count)
    }
    self.waiting = waiting.map(\.version)
    let all = versions.map { ($0.digest, $0.weights) } + waiting.map { ($0.version.digest, $0.weights) }
    weights = Dictionary(all) { first, _ in first }
  }

  /// The same versions without weights, for use after the weights are released.
  package var outline: Snapshot {
    var outline = self
    outline.weights = [:]
    return outline
  }

  /// All versions as stored: those of the stage's model, then those that wait.
  package var versions: [PartVersion] { manifest + waiting }

  /// Returns the weights of a version; nil if this snapshot does not contain it.
  package func data(_ digest: Digest) -> Data? { weights[digest] }

  /// Returns the values of a version; empty if this snapshot does not contain it.
  package func floats(_ digest: Digest) -> [Float] {
    guard let data = weights[digest] else { return [] }
    return [Float](unsafeUninitializedCapacity: data.count / 4) { to, initialised in
      data.copyBytes(to: UnsafeMutableRawBufferPointer(to))
      initialised = data.count / 4
    }
  }

  /// The base of updates: the digest of the digests of all parts.
  package var base: Digest { Self.base(of: manifest) }

  /// Returns the digest of the digests of parts in order.
  package static func base(of manifest: [PartVersion]) -> Digest {
    Digest(of: Data(manifest.map(\.digest.description).joined(separator: "\n").utf8))
  }

  /// The SHA-256 of the encoder's float32 weights in layout order, without heads, and with the blocks that wait.
  package var encoderDigest: Digest {
    guard waiting.isEmpty else { return complete.encoderDigest }
    var hasher = Hasher256()
    for (part, version) in zip(stage.model.parts, manifest)
    where part.range.upperBound <= stage.model.encoderRange.upperBound {
      hasher.update(weights[version.digest] ?? Data())
    }
    return hasher.finish()
  }

  /// Writes all weights to the parameters of the stage's model.
  package func write(into parameters: borrowing Storage) {
    for (part, version) in zip(stage.model.parts, manifest) {
      parameters[part.range].setBytes(weights[version.digest] ?? Data())
    }
  }

  /// Returns the parts of a model that contains only these blocks (depth dropout), in layout order.
  package func manifest(keeping blocks: [Int]) -> [PartVersion] {
    let kept = Set(blocks)
    return manifest.enumerated().filter { position, _ in
      let block = position - stage.model.stemParts
      let indices = stage.model.encoder.blocks
      return !indices.indices.contains(block) || kept.contains(indices[block])
    }.map(\.element)
  }

  /// Returns the trained parts of a model that contains only these blocks.
  package func trained(keeping blocks: [Int]) -> [PartVersion] {
    let names = Set(stage.parts.map(\.name))
    return manifest(keeping: blocks).filter { names.contains($0.name) }
  }

  /// Returns the weights of the trained parts in order, for a client whose model has the blocks `kept`.
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

  /// Returns the largest magnitude of the weights of some versions; NaN if one is NaN.
  package func largestMagnitude(of versions: [PartVersion]) -> Float {
    versions.reduce(0) { most, version in
      guard let data = data(version.digest) else { return most }
      return data.withUnsafeBytes { Elementwise.larger(most, Elementwise.largestMagnitude(bytes: $0)) }
    }
  }

  /// Whether a training from the snapshot `old` to this one has diverged.
  package func hasDiverged(since old: Snapshot) -> Bool {
    let sums = manifest.filter { stage.model.objective.sums.contains($0.name) }
    return !largestMagnitude(of: sums).isFinite
      || Divergence.isReached(
        largestMagnitude(of: weightVersions), after: old.largestMagnitude(of: old.weightVersions))
  }

  /// The versions of the parts that are weights.
  private var weightVersions: [PartVersion] {
    manifest.filter { !stage.model.objective.sums.contains($0.name) }
  }

  /// Returns the snapshot with some parts replaced, by name.
  package func replacing(parts new: [String: Data]) -> Snapshot {
    Snapshot(
      stage,
      versions: manifest.map { version in
        // Unchanged parts, such as frozen layers, keep their digests.
        new[version.name].map { (Digest(of: $0), $0) } ?? (version.digest, weights[version.digest] ?? Data())
      }, waiting: waitingWeights)
  }

  /// Returns the snapshot with the parameters of the stage's model replaced.
  package func replacing(_ parameters: borrowing Storage) -> Snapshot {
    var parts: [String: Data] = [:]
    for part in stage.model.parts { parts[part.name] = parameters[part.range].bytes }
    return replacing(parts: parts)
  }

  private var waitingWeights: [(version: PartVersion, weights: Data)] {
    waiting.map { ($0, weights[$0.digest] ?? Data()) }
  }

  /// Returns the snapshot after a round, with the trained parts replaced by these values in order.
  package func replacing(trained values: [Float]) -> Snapshot {
    precondition(values.count == stage.count, "\(values.count) floats for \(stage.count)")
    let trained = Set(stage.parts.map(\.name))
    var start = 0
    var parts: [String: Data] = [:]
    for part in stage.model.parts where trained.contains(part.name) {
      parts[part.name] = values[start..<start + part.range.count].withUnsafeBytes { Data($0) }
      start += part.range.count
    }
    return replacing(parts: parts)
  }

  /// Returns the encoder's parameters with timm's names.
  package func encoderTensors() -> Safetensors {
    tensors { $0.slot.range.upperBound <= stage.model.encoderRange.upperBound }
  }

  /// Returns some parameters, in layout order.
  func tensors(where isWanted: (Layout.Entry) -> Bool) -> Safetensors {
    let storage = Storage(stage.model.layout)
    write(into: storage)
    var file = Safetensors()
    for entry in stage.model.layout.entries where isWanted(entry) {
      file.add(entry.name, Safetensors.Tensor(shape: entry.shape, values: storage[entry.slot].array()))
    }
    return file
  }
}

// MARK: - Laps

extension Snapshot {
  /// Returns the same layers as the model of another stage, of which none is new: its readout and heads are the exit
  /// behind its last block, and the present ones are an exit again. The layers `waiting`, by name, are not in its model.
  package func arranged(as next: Stage, waiting names: [String]) -> Snapshot {
    var layers = Dictionary(uniqueKeysWithValues: waitingWeights.map { ($0.version.name, $0.weights) })
    for part in stage.model.lastingParts { layers[part.name] = bytes(of: part.range) }
    func layer(_ name: String) -> Data {
      guard let layer = layers[name] else { preconditionFailure("no \(name) behind stage \(stage.index)") }
      return layer
    }
    let (model, head) = (next.model, layer(Exit.part(next.model.depth)))
    let parts = model.parts.map { part in
      guard model.headRange.contains(part.range.lowerBound) else { return layer(part.name) }
      let start = 4 * (part.range.lowerBound - model.headStart)
      return Data(head.dropFirst(start).prefix(4 * part.range.count))
    }
    return Snapshot(next, parts: parts, waiting: names.map { ($0, layer($0)) })
  }

  /// Returns the weights of adjacent parts of the stage's model.
  private func bytes(of range: Range<Int>) -> Data {
    zip(stage.model.parts, manifest).reduce(into: Data()) { bytes, pair in
      if range.contains(pair.0.range.lowerBound) { bytes += weights[pair.1.digest] ?? Data() }
    }
  }

  /// The model of all layers, if some wait: with all blocks, the last one's readout and heads, and all exits below.
  package var complete: Snapshot {
    guard !waiting.isEmpty else { return self }
    let model = stage.model
    let depth = model.configuration.depth
    let exits = (model.lastingParts.map(\.name) + waiting.map(\.name)).compactMap(Exit.depth(ofPart:))
    let whole = model.completed(exits: exits.filter { $0 < depth })
    let content = Stage.Content(
      blocks: whole.encoder.blocks, trained: [], lap: stage.content.lap, exits: whole.exits.map(\.depth))
    return arranged(as: Stage(index: stage.index, content, whole), waiting: [])
  }
}

extension Matrix {
  /// The floats of a contiguous matrix as transmitted: little-endian, like all supported machines.
  package var bytes: Data {
    precondition(isContiguous)
    return Data(bytes: start, count: count * MemoryLayout<Float>.stride)
  }

  /// Sets the floats of a contiguous matrix from bytes of the same length.
  package func setBytes(_ data: Data) {
    precondition(isContiguous && data.count == count * MemoryLayout<Float>.stride, "\(data.count) bytes")
    data.withUnsafeBytes {
      UnsafeMutableRawPointer(start).copyMemory(from: $0.baseAddress!, byteCount: $0.count)
    }
  }
}
