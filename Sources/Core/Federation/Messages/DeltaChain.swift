/// The encoded differences (deltas) from which a client reconstructs a version of a layer with fewer bytes than the
/// layer has. Each is relative to the previous version.
package struct DeltaChain: Sendable, Hashable, Codable {
  /// An encoded difference, which is fetched by its digest like a layer.
  package struct Step: Sendable, Hashable, Codable {
    /// The version that it is relative to; nil stands for zeros, so that it contains the whole layer.
    package var from: Digest?
    /// The digest of the encoded bytes.
    package var digest: Digest
    /// The number of encoded bytes.
    package var bytes: Int
    package var codec: UpdateCodec

    package init(from: Digest?, digest: Digest, bytes: Int, codec: UpdateCodec) {
      (self.from, self.digest, self.bytes, self.codec) = (from, digest, bytes, codec)
    }
  }

  /// The resulting version.
  package var to: Digest
  /// The steps in order: each results in the version that the next one is relative to, and the last in ``to``.
  package var steps: [Step]
  /// The full delta, relative to zeros, for clients that hold none of these versions; nil if the layer itself is not
  /// longer.
  package var fullDelta: Step?

  package init(to: Digest, steps: [Step], fullDelta: Step? = nil) {
    (self.to, self.steps, self.fullDelta) = (to, steps, fullDelta)
  }

  /// Returns the steps that a client with some of the versions needs; nil if it must fetch the layer itself.
  package func path(holds: (Digest) -> Bool) -> [Step]? {
    if let first = steps.lastIndex(where: { $0.from.map(holds) ?? false }) { return Array(steps[first...]) }
    return fullDelta.map { [$0] }
  }
}

extension Assignment {
  /// Returns the delta chain to a version, if there is one that is shorter than the layer.
  package func deltaChain(to version: PartVersion) -> DeltaChain? {
    deltaChains?.first { $0.to == version.digest }
  }

  /// Returns the versions to fetch before the training, without duplicates: deltas if they save bytes, otherwise
  /// layers.
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
