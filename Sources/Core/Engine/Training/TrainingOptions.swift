import Foundation

/// The settings of a local training or a calibration.
package struct TrainingOptions: Sendable {
  /// The momentum μ: the share of the target branch that a step keeps.
  package var momentum: Float
  /// The temperature τ of contrastive losses.
  package var temperature: Float
  /// The terms of the loss in addition to the objective's.
  package var regularisers: [Regulariser]
  /// The batch size B, images per step.
  package var batch: Int
  package var epochs: Int
  package var weightDecay: Float
  /// The rule of the optimiser.
  package var optimiser = OptimiserKind.adamw
  /// The constants of AdamW's moments.
  package var moments = AdamW.Moments()
  /// The share of the last step's direction that SGD and LARS keep.
  package var gradientMomentum: Float = 0.9
  /// The trust coefficient of LARS: the length of a step without momentum divided by the rate and by that of the tensor.
  package var trustCoefficient: Float = 0.001
  package var schedule: LearningRateSchedule
  /// The number of images that a worker processes at a time: enough for efficient matrix products, but few enough that
  /// their tokens fit into the second-level cache.
  package var chunk: Int
  /// The number of rows, over all views, whose traces are kept at a time; nil for all. With fewer, a step computes the
  /// encoder twice: once for the loss, and again slice by slice for the gradients, which are bit-identical.
  package var slice: Int?
  /// Local views of each image; nil for none.
  package var localViews: LocalViews?
  /// The number of nodes of the graph, if a step of the encoder's blocks takes the neighbours of a batch's nodes.
  package var nodes = 0
  /// The numbers of neighbours that such a step samples at each hop; nil for the whole graph.
  package var fanouts: [Int]?

  /// Creates options. `alignment` is the weight α of representation alignment with the global model, `proximal` the
  /// weight ρ of FedProx's term (arXiv 1812.06127), and `kinetic` the parameter τ of the kinetic term on residual
  /// branches (TRGL, arXiv 2210.00949); 0 disables a term.
  package init(
    momentum: Float = 0.99, temperature: Float = 0.05, alignment: Float = 0,
    proximal: Float = 0, kinetic: Float = 0, batch: Int, epochs: Int = 1,
    weightDecay: Float = 1e-5, schedule: LearningRateSchedule, chunk: Int = 8
  ) {
    self.momentum = momentum
    self.temperature = temperature
    regularisers = []
    if alignment != 0 {
      regularisers.append(.representations(Alignment(weight: alignment, temperature: temperature)))
    }
    if kinetic != 0 { regularisers.append(.residualBranches(Kinetic(tau: kinetic))) }
    if proximal != 0 { regularisers.append(.weights(Proximal(weight: proximal))) }
    self.batch = batch
    self.epochs = epochs
    self.weightDecay = weightDecay
    self.schedule = schedule
    self.chunk = chunk
  }

  /// The regularisers of each kind.
  package var weightPenalties: [any WeightPenalty] {
    regularisers.compactMap { if case .weights(let penalty) = $0 { penalty } else { nil } }
  }

  var representationPenalties: [any RepresentationPenalty] {
    regularisers.compactMap { if case .representations(let penalty) = $0 { penalty } else { nil } }
  }

  package var featurePenalties: [any FeaturePenalty] {
    regularisers.compactMap { if case .features(let penalty) = $0 { penalty } else { nil } }
  }

  package var branchPenalties: [any BranchPenalty] {
    regularisers.compactMap { if case .residualBranches(let penalty) = $0 { penalty } else { nil } }
  }

  /// Returns the branches other than the online one, which the objective and the regularisers use.
  package func branches(of objective: any Objective) -> [Branch] {
    (representationPenalties.contains { $0.usesReference } ? [.reference] : []) + objective.branches
  }
}

/// The learning rate over the part of a stage that a local training covers.
package struct LearningRateSchedule: Sendable, Hashable {
  package enum Kind: String, Sendable, Codable, CaseIterable {
    case constant
    /// Half a cosine over the stage, from the full rate to 0.
    case cosine
  }

  package var kind: Kind
  /// The full rate, already multiplied by batch / 256.
  package var rate: Float
  /// The start and end of this training within the stage, 0 … 1.
  package var (from, to): (Float, Float)
  /// The length of the linear warm-up at the begin of the stage, in trainings of the length of this one.
  package var warmUp: Double

  package init(
    _ kind: Kind = .constant, rate: Float, from: Float = 0, to: Float = 1, warmUp: Double = 0
  ) {
    (self.kind, self.rate, self.from, self.to, self.warmUp) = (kind, rate, from, to, warmUp)
  }

  /// Returns the rate of step `step` of `steps`, counted from 0. A cosine begins behind the warm-up.
  package func rate(step: Int, of steps: Int) -> Float {
    let rising = (Double(steps) * warmUp).rounded(.up)
    // The place may come from another process, and may be empty.
    let share = max(Double(to) - Double(from), 1e-9)
    let now = (Double(from) / share * Double(steps)).rounded() + Double(step)
    if now < rising { return rate * Float(now + 1) / Float(rising) }
    switch kind {
    case .constant: return rate
    case .cosine where rising == 0:
      let progress = from + (to - from) * Float(step) / Float(max(steps, 1))
      return rate * 0.5 * (1 + cos(.pi * progress))
    case .cosine:
      let all = (Double(steps) / share).rounded()
      let progress = min(Float(now - rising) / Float(max(all - rising, 1)), 1)
      return rate * 0.5 * (1 + cos(.pi * progress))
    }
  }
}
