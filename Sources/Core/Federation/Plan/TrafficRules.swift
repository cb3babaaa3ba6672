extension Plan {
  /// How numbers travel.
  package struct TrafficRules: Sendable, Hashable, Codable {
    /// How a client codes its update, where it can; one that cannot sends it plain. Default plain.
    package var codec: UpdateCodec
    /// The share of an update's values that top-k keeps, 0 … 1. Default 0.01: one in a hundred, as deep gradient
    /// compression begins with (arXiv 1712.01887).
    package var kept: Float

    package init(codec: UpdateCodec = .plain, kept: Float = 0.01) { (self.codec, self.kept) = (codec, kept) }
  }
}
