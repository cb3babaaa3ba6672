/// Which layers exist, train and travel at a stage (docs/method.md).
package enum Strategy: String, Sendable, Codable, CaseIterable {
  /// LW-FedSSL: L_1 … L_s exist, L_s trains.
  case layerWise = "layer-wise"
  /// Prog-FedSSL: L_1 … L_s exist and train.
  case progressive
  /// FedSSL: everything exists and trains, in a single stage.
  case endToEnd = "end-to-end"
}

/// How a new layer starts.
package enum LayerInitialisation: String, Sendable, Codable, CaseIterable {
  /// As a copy of the layer that far below as a stage is deep: L_{s-1} with one layer a stage.
  case transfer
  /// At random.
  case random
}
