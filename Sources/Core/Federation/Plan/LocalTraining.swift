import Engine
import Support

extension Plan {
  /// What a client does in a round.
  package struct LocalTraining: Sendable, Hashable, Codable {
    /// Passes over the client's images. Default 3, the paper's.
    package var epochs: Int
    /// Images a step. Default 256: the rate is quoted for it, and a small device still holds it.
    package var batch: Int
    /// Base learning rate, for a batch of 256. Default 1.5e-4, the paper's.
    package var learningRate: Float
    /// AdamW's decoupled weight decay. Default 1e-5, the paper's.
    package var weightDecay: Float
    /// How the rate moves inside a stage. Default constant, the paper's.
    package var schedule: LearningRateSchedule.Kind
    /// rho of FedProx: weight of the pull towards the round's global weights. Default 0, off, the paper's.
    package var proximal: Float

    /// Fixed views of each image, of which an epoch takes two; the frozen prefix's outputs for them are kept
    /// in a file. Even; 0 draws fresh views every epoch. Default 0, the paper's.
    package var views: Int
    /// What a client's process may have resident. Default nil, unlimited: a device's operator knows better, and
    /// can say so to the client.
    package var memory: ByteCount?

    package init(
      epochs: Int = 3, batch: Int = 256, learningRate: Float = 1.5e-4, weightDecay: Float = 1e-5,
      schedule: LearningRateSchedule.Kind = .constant, proximal: Float = 0,
      views: Int = 0, memory: ByteCount? = nil
    ) {
      self.epochs = epochs
      self.batch = batch
      self.learningRate = learningRate
      self.weightDecay = weightDecay
      self.schedule = schedule
      self.proximal = proximal
      self.views = views
      self.memory = memory
    }

    /// The learning rate of a step: base x batch / 256, so that a plan survives a change of batch.
    package var scaledRate: Float { learningRate * Float(batch) / 256 }
  }
}
