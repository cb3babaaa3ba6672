/// Which layers exist, train and travel at a stage (docs/method.md).
package enum Strategy: String, Sendable, Codable, CaseIterable {
  /// LW-FedSSL: L_1 … L_s exist, L_s trains.
  case layerWise = "layer-wise"
  /// Prog-FedSSL: L_1 … L_s exist and train.
  case progressive
  /// FedSSL: everything exists and trains, in a single stage.
  case endToEnd = "end-to-end"
}

/// The self-supervised loss of local training.
package enum SelfSupervision: String, Sendable, Codable, CaseIterable {
  /// NT-Xent over both views' projections (arXiv 2002.05709).
  case simclr
  /// InfoNCE between predictions and a target branch's projections (arXiv 2104.02057).
  case mocov3
  /// Cosine distance between the same (arXiv 2006.07733).
  case byol

  /// Whether there is a target branch, and a predictor in front of the loss.
  package var predicts: Bool { self != .simclr }
}

/// How a new layer starts.
package enum LayerInitialisation: String, Sendable, Codable, CaseIterable {
  /// As a copy of the layer that far below as a stage is deep: L_{s-1} with one layer a stage.
  case transfer
  /// At random.
  case random
}
