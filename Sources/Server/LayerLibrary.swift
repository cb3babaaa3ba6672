import Engine
import Federation
import Foundation
import Wire

/// The ways to the present version of each layer, for clients that hold an earlier one. The same coded bytes go to
/// all who hold the same version.
struct LayerLibrary {
  /// A difference between two versions of a part, as it travels and is stored.
  struct Step: Sendable {
    let part: String
    let to: Digest
    let way: LayerWay.Step
    let bytes: Data
  }

  /// What a round adds, and how many steps of each part stay.
  struct Changes: Sendable {
    var steps: [Step] = []
    var kept: [String: Int] = [:]
  }

  private let plan: Plan
  /// By part; each step leads to the version that the next one is a difference to.
  private(set) var chains: [String: [Step]]
  /// Coded whole layers that somebody was told of, by version.
  private var wholes: [Digest: Step] = [:]

  /// - Parameter steps: of an earlier server, in their order; those that lead nowhere today are left out.
  init(_ plan: Plan, steps: [Step], to snapshot: Snapshot) {
    self.plan = plan
    chains = Dictionary(grouping: steps, by: \.part)
    for version in snapshot.manifest where chains[version.name]?.last?.to != version.digest {
      chains[version.name] = nil
    }
  }

  /// Codes what a round has changed. Returns the new global model, which is what every client decodes, and the steps to
  /// it: where the codec is not exact it differs a little from `draft`.
  mutating func publish(_ draft: Snapshot, after old: Snapshot, _ key: RoundKey) -> (Snapshot, Changes) {
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
      let way = LayerWay.Step(from: from.digest, digest: Digest(of: coded), bytes: coded.count, codec: codec)
      parts[part.name] = bytes
      steps.append(Step(part: part.name, to: Digest(of: bytes), way: way, bytes: coded))
    }
    let published = draft.replacing(parts: parts)
    for step in steps { chains[step.part, default: []].append(step) }
    prune(published)
    return (published, Changes(steps: steps, kept: chains.mapValues(\.count)))
  }

  /// Lets go of what nobody would fetch: the layer itself is shorter.
  private mutating func prune(_ snapshot: Snapshot) {
    let most = max(Self.mostSteps / snapshot.manifest.count, 1)
    for version in snapshot.manifest {
      guard var chain = chains[version.name] else { continue }
      while chain.count > most || chain.reduce(0, { $0 + $1.way.bytes }) >= version.bytes {
        chain.removeFirst()
      }
      chains[version.name] = chain
    }
    wholes = [:]
  }

  /// Steps that an assignment names at most: with more of them it would be as long as a layer.
  private static let mostSteps = 400

  /// The ways to parts of the present model for a client of which it is known that it holds some versions. Who holds none
  /// of a part's gets the whole of it coded, where that is shorter.
  mutating func ways(to parts: [PartVersion], of snapshot: Snapshot, holding held: Set<Digest>) -> [LayerWay]
  {
    guard plan.traffic.layers != .plain else { return [] }
    return parts.compactMap { version in
      guard !held.contains(version.digest) else { return nil }
      let chain = chains[version.name] ?? []
      let steps = chain.last?.to == version.digest ? chain.map(\.way) : []
      let isAlongTheWay = steps.contains { $0.from.map(held.contains) ?? false }
      let whole = isAlongTheWay ? nil : whole(version, of: snapshot)
      return steps.isEmpty && whole == nil ? nil : LayerWay(to: version.digest, steps: steps, whole: whole)
    }
  }

  private mutating func whole(_ version: PartVersion, of snapshot: Snapshot) -> LayerWay.Step? {
    if wholes[version.digest] == nil, let part = snapshot.stage.model.part(version.name) {
      let coding = UpdateCoding(.float32, part, of: snapshot.stage.model)
      let values = snapshot.floats(version.digest)
      let coded = coding.encode(values, base: [Float](repeating: 0, count: values.count), seed: 0)
      let way = LayerWay.Step(from: nil, digest: Digest(of: coded), bytes: coded.count, codec: .float32)
      wholes[version.digest] = Step(part: version.name, to: version.digest, way: way, bytes: coded)
    }
    return wholes[version.digest].map(\.way).flatMap { $0.bytes < version.bytes ? $0 : nil }
  }

  /// Coded bytes by their digest; nil where they are not known, or not any more.
  func data(_ digest: Digest) -> Data? {
    for chain in chains.values { for step in chain where step.way.digest == digest { return step.bytes } }
    return wholes.values.first { $0.way.digest == digest }?.bytes
  }

  /// Versions that some way begins at or leads to.
  var known: Set<Digest> { Set(chains.values.joined().flatMap { [$0.way.from, $0.to].compactMap(\.self) }) }
}
