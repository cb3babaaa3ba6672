/// The configuration of a graph attention network (arXiv 1710.10903).
package struct GraphAttentionConfiguration: Sendable, Hashable {
  /// The number of features F of a node.
  package var features: Int
  /// The width D of every block, a multiple of the heads.
  package var width: Int
  /// The number of blocks of the finished encoder.
  package var depth: Int
  /// The number of attention heads K. Default 4, as in LRGI (arXiv 2309.01503).
  package var heads = 4
  /// Whether a block has a residual connection.
  package var skip = true

  package init(features: Int, width: Int, depth: Int) {
    (self.features, self.width, self.depth) = (features, width, depth)
  }
}

extension EncoderConfiguration.Family {
  /// A graph attention network (arXiv 1710.10903).
  package static let gat = Self("gat", GraphAttentionConfiguration.self)
}

extension GraphAttentionConfiguration: FeatureFamilyConfiguration {
  package static let family = EncoderConfiguration.Family.gat
  package var input: EncoderInput { .nodes(features: features) }
  package var output: Int { width }

  package func makeEncoder(blocks: [Int], in layout: inout Layout) -> any Encoder {
    GraphAttentionNetwork(self, blocks: blocks, in: &layout)
  }

  private enum Key: String, CodingKey { case heads, skip }

  package init(from decoder: any Swift.Decoder) throws {
    try self.init(commonFieldsOf: decoder)
    let values = try decoder.container(keyedBy: Key.self)
    heads = try values.decode(Int.self, forKey: .heads)
    skip = try values.decode(Bool.self, forKey: .skip)
  }

  package func encode(to encoder: any Swift.Encoder) throws {
    try encodeCommonFields(to: encoder)
    var values = encoder.container(keyedBy: Key.self)
    try values.encode(heads, forKey: .heads)
    try values.encode(skip, forKey: .skip)
  }
}
