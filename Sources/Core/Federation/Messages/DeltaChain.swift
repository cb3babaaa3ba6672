/// How a client gets a version of a layer with fewer bytes than the layer has: by coded differences (deltas), each
/// to the version before it.
package struct DeltaChain: Sendable, Hashable, Codable {
  /// A coded difference, which is fetched by its digest like a layer.
  package struct Step: Sendable, Hashable, Codable {
    /// The version that it is a difference to; nil: zeros, so that it holds the whole layer.
    package var from: Digest?
    /// Of the coded bytes.
    package var digest: Digest
    /// Length of the coded bytes.
    package var bytes: Int
    package var codec: UpdateCodec

    package init(from: Digest?, digest: Digest, bytes: Int, codec: UpdateCodec) {
      (self.from, self.digest, self.bytes, self.codec) = (from, digest, bytes, codec)
    }
  }

  /// The version that it leads to.
  package var to: Digest
  /// Each leads to the version that the next one is a difference to, and the last to ``to``.
  package var steps: [Step]
  /// The full delta, a difference to zeros, for a client that holds none of these versions; nil where the layer itself
  /// is no longer.
  package var fullDelta: Step?

  package init(to: Digest, steps: [Step], fullDelta: Step? = nil) {
    (self.to, self.steps, self.fullDelta) = (to, steps, fullDelta)
  }

  /// What is left to take for who holds some of the versions; nil where the layer itself is to be fetched.
  package func path(holds: (Digest) -> Bool) -> [Step]? {
    if let first = steps.lastIndex(where: { $0.from.map(holds) ?? false }) { return Array(steps[first...]) }
    return fullDelta.map { [$0] }
  }
}

extension Assignment {
  /// The delta chain to a version, where there is one that is shorter than the layer.
  package func deltaChain(to version: PartVersion) -> DeltaChain? {
    deltaChains?.first { $0.to == version.digest }
  }

  /// What is to be fetched before the training can begin, each thing once: coded differences where they help, and else the
  /// layers themselves.
  package func lacking(_ holds: (PartVersion) -> Bool) -> [PartVersion] {
    var seen = Set<Digest>()
    return parts.flatMap { part -> [PartVersion] in
      guard !holds(part), seen.insert(part.digest).inserted else { return [] }
      let path = deltaChain(to: part)?.path {
        holds(PartVersion(name: part.name, digest: $0, bytes: part.bytes))
      }
      guard let path else { return [part] }
      return path.map { PartVersion(name: part.name, digest: $0.digest, bytes: $0.bytes) }
        .filter { !holds($0) && seen.insert($0.digest).inserted }
    }
  }
}
