extension Plan {
  /// How numbers travel.
  package struct TrafficRules: Sendable, Hashable, Codable {
    /// How a client codes its update, where it can; one that cannot sends it plain. Default plain.
    package var codec: UpdateCodec
    /// The share of an update's values that top-k keeps, 0 … 1. Default 0.01: one in a hundred, as deep gradient
    /// compression begins with (arXiv 1712.01887).
    package var kept: Float
    /// How layers travel to a client that holds an earlier version. But for plain and float32 the global weights
    /// themselves are what is decoded, so that every client has the same. Default plain.
    package var layers: UpdateCodec

    package init(codec: UpdateCodec = .plain, kept: Float = 0.01, layers: UpdateCodec = .plain) {
      (self.codec, self.kept, self.layers) = (codec, kept, layers)
    }
  }
}
