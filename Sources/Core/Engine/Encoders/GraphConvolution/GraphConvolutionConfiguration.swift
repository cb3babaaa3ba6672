/// The configuration of an L-GCN (arXiv 2003.13606).
package struct GraphConvolutionConfiguration: Sendable, Hashable {
  /// The number of features F of a node.
  package var features: Int
  /// The width H of every layer.
  package var width: Int
  /// The number of layers L of the finished encoder.
  package var depth: Int
  package var propagation = Propagation.lgcn

  package init(features: Int, width: Int, depth: Int) {
    (self.features, self.width, self.depth) = (features, width, depth)
  }
}

extension EncoderConfiguration.Family {
  /// A graph convolutional network that can be trained layer by layer (L-GCN, arXiv 2003.13606).
  package static let gcn = Self("gcn", GraphConvolutionConfiguration.self)
}

extension GraphConvolutionConfiguration: FeatureFamilyConfiguration {
  package static let family = EncoderConfiguration.Family.gcn
  package var input: EncoderInput { .nodes(features: features) }
  package static let classifierConvention = ClassifierConfiguration.Convention.graph
  package var output: Int { width }

  package func makeEncoder(blocks: [Int], in layout: inout Layout) -> any Encoder {
    GraphConvolutionNetwork(self, blocks: blocks, in: &layout)
  }

  private enum Key: String, CodingKey { case propagation }

  package init(from decoder: any Swift.Decoder) throws {
    try self.init(commonFieldsOf: decoder)
    propagation = try decoder.container(keyedBy: Key.self).decode(Propagation.self, forKey: .propagation)
  }

  package func encode(to encoder: any Swift.Encoder) throws {
    try encodeCommonFields(to: encoder)
    var values = encoder.container(keyedBy: Key.self)
    try values.encode(propagation, forKey: .propagation)
  }
}
