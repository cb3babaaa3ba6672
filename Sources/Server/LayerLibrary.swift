import Engine
import Federation
import Foundation
import Synchronization
import Wire

/// The delta chains to the current version of each layer, for clients with an earlier version. All clients with the
/// same version get the same coded bytes.
package struct LayerLibrary {
  /// A difference between two versions of a part, as sent and stored.
  package struct Step: Sendable {
    package let part: String
    package let to: Digest
    package let delta: DeltaChain.Step
    package let bytes: Data
  }

  /// The steps that a round adds, and the number of steps to keep of each part.
  package struct Changes: Sendable {
    package var steps: [Step] = []
    package var kept: [String: Int] = [:]
  }

  private let plan: Plan
  /// The chains by part; the version that a step leads to is the base of the next step.
  package private(set) var chains: [String: [Step]]
  /// The full deltas named in assignments, by version.
  private var fullDeltas: [Digest: Step] = [:]

  /// - Parameter steps: the stored steps in order; those that do not lead to the snapshot are omitted.
  package init(_ plan: Plan, steps: [Step], to snapshot: Snapshot) {
    self.plan = plan
    chains = Dictionary(grouping: steps, by: \.part)
    for version in snapshot.manifest where chains[version.name]?.last?.to != version.digest {
      chains[version.name] = nil
    }
  }

  /// Codes the changes of a round. Returns the new global model as every client decodes it, and the steps to it. If the
  /// codec is not exact, the model differs slightly from `draft`.
  package mutating func publish(_ draft: Snapshot, after old: Snapshot, _ key: RoundKey) -> (
    Snapshot, Changes
  ) {
    let codec = plan.traffic.layers
    guard codec != .plain else { return (draft, Changes()) }
    var (parts, steps): ([String: Data], [Step]) = ([:], [])
    let earlier = Dictionary(uniqueKeysWithValues: old.manifest.map { ($0.name, $0) })
    let model = draft.stage.model
    for (part, version) in zip(model.parts, draft.manifest) {
      guard let from = earlier[part.name], from.digest != version.digest else { continue }
      let coding = UpdateCoding(codec, part, of: model)
      let base = old.floats(from.digest)
      let seed = RandomNumbers.derive(plan.seed, "layer \(part.name)", [key.stage, key.round])
      let coded = coding.encode(draft.floats(version.digest), base: base, seed: seed)
      guard let values = try? coding.decode(coded, base: base) else {
        preconditionFailure("\(part.name) coded here cannot be decoded here")
      }
      let bytes = values.withUnsafeBytes { Data($0) }
      let delta = DeltaChain.Step(
        from: from.digest, digest: Digest(of: coded), bytes: coded.count, codec: codec)
      parts[part.name] = bytes
      steps.append(Step(part: part.name, to: Digest(of: bytes), delta: delta, bytes: coded))
    }
    let published = draft.replacing(parts: parts)
    for step in steps {
      // A stage may begin with another version than the last round's: a lap goes on from an exit.
      if chains[step.part]?.last?.to != step.delta.from { chains[step.part] = nil }
      chains[step.part, default: []].append(step)
    }
    prune(published)
    return (published, Changes(steps: steps, kept: chains.mapValues(\.count)))
  }

  /// Removes chains that no client would fetch because the layer itself is shorter.
  private mutating func prune(_ snapshot: Snapshot) {
    let most = max(Self.mostSteps / snapshot.manifest.count, 1)
    for version in snapshot.manifest {
      guard var chain = chains[version.name] else { continue }
      while chain.count > most || chain.reduce(0, { $0 + $1.delta.bytes }) >= version.bytes {
        chain.removeFirst()
      }
      chains[version.name] = chain
    }
    fullDeltas = [:]
  }

  /// The maximum number of steps in an assignment, which would otherwise be as long as a layer.
  private static let mostSteps = 400

  /// Returns the delta chains to parts of the current model for a client that holds some versions. A client that holds
  /// no suitable version of a part gets the full delta if that is shorter.
  package mutating func deltaChains(to parts: [PartVersion], of snapshot: Snapshot, holding held: Set<Digest>)
    -> [DeltaChain]
  {
    guard plan.traffic.layers != .plain else { return [] }
    return parts.compactMap { version in
      guard !held.contains(version.digest) else { return nil }
      let chain = chains[version.name] ?? []
      let steps = chain.last?.to == version.digest ? chain.map(\.delta) : []
      let isOnTheChain = steps.contains { $0.from.map(held.contains) ?? false }
      let fullDelta = isOnTheChain ? nil : fullDelta(version, of: snapshot)
      return steps.isEmpty && fullDelta == nil
        ? nil : DeltaChain(to: version.digest, steps: steps, fullDelta: fullDelta)
    }
  }

  private mutating func fullDelta(_ version: PartVersion, of snapshot: Snapshot) -> DeltaChain.Step? {
    if fullDeltas[version.digest] == nil, let part = snapshot.stage.model.part(version.name) {
      let coding = UpdateCoding(.float32, part, of: snapshot.stage.model)
      let values = snapshot.floats(version.digest)
      let coded = coding.encode(values, base: [Float](repeating: 0, count: values.count), seed: 0)
      let delta = DeltaChain.Step(from: nil, digest: Digest(of: coded), bytes: coded.count, codec: .float32)
      fullDeltas[version.digest] = Step(part: version.name, to: version.digest, delta: delta, bytes: coded)
    }
    return fullDeltas[version.digest].map(\.delta).flatMap { $0.bytes < version.bytes ? $0 : nil }
  }

  /// Returns the coded bytes with a digest; nil if they are unknown or removed.
  package func data(_ digest: Digest) -> Data? {
    for chain in chains.values { for step in chain where step.delta.digest == digest { return step.bytes } }
    return fullDeltas.values.first { $0.delta.digest == digest }?.bytes
  }

  /// The versions at the beginning or end of a delta chain's steps.
  var known: Set<Digest> {
    Set(chains.values.joined().flatMap { [$0.delta.from, $0.to].compactMap(\.self) })
  }
}

/// A layer, or a delta to one, that clients fetch. Each piece is encoded once, for the first client, and shared with
/// all others.
package final class OutgoingLayer: Sendable {
  private let digest: Digest
  /// The bytes of the layer or delta.
  package let bytes: Data
  /// The frames by piece number.
  private let frames: Mutex<[Int: OutgoingFrame]> = Mutex([:])

  package init(_ digest: Digest, _ bytes: Data) { (self.digest, self.bytes) = (digest, bytes) }

  /// Returns the offsets of the pieces from an offset on, `offset` first. The later ones are multiples of the chunk
  /// size, so that clients share pieces.
  package func offsets(from offset: Int) -> [Int] {
    let ends = stride(
      from: offset / WireLimits.chunk * WireLimits.chunk, to: bytes.count, by: WireLimits.chunk)
    return [offset] + ends.filter { $0 > offset }
  }

  /// Returns the frame of the piece that starts at an offset. Throws ``WireError``.
  package func frame(at offset: Int) throws(WireError) -> OutgoingFrame {
    let (number, isWhole) = (offset / WireLimits.chunk, offset % WireLimits.chunk == 0)
    if isWhole, let frame = frames.withLock({ $0[number] }) { return frame }
    let frame = try OutgoingFrame(message(at: offset))
    if isWhole { frames.withLock { $0[number] = frame } }
    return frame
  }

  /// Returns the message with this piece.
  package func message(at offset: Int) -> Message {
    let end = min((offset / WireLimits.chunk + 1) * WireLimits.chunk, bytes.count)
    let piece = bytes[(bytes.startIndex + offset)..<(bytes.startIndex + max(offset, end))]
    return .layer(LayerData(digest: digest, offset: offset, total: bytes.count), piece)
  }
}
