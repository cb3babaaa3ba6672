import Datasets
import Engine

extension Plan {
  /// The growth of the encoder, and the loss (docs/method.md).
  package struct Method: Sendable, Hashable, Codable {
    /// The layers that exist, train and are exchanged. Default layer-wise, the main method of this project.
    package var strategy: Strategy
    /// The number of blocks that a stage adds. Default 1, as in the paper.
    package var layersPerStage: Int
    /// The number of passes through the layers, each starting at the first. Default 1, as in the paper.
    package var laps: Int
    /// The number of rounds of each stage; the maximum if the curriculum is open. Default 15, as in the paper.
    package var roundsPerStage: Rounds
    /// What ends a stage before its last round.
    package var stageEnd: StageEnd
    /// The initialisation of new layers. Default transfer, which starts from trained features instead of noise.
    package var initialisation: LayerInitialisation
    /// The objective of a stage. Default simclr, which needs neither a target branch nor a predictor.
    package var objective: ObjectiveKind
    /// The momentum mu of the target branch (mocov3 and byol). Default 0.99, as in the paper.
    package var momentum: Float
    /// The maximum number of blocks that run at a client, including the trained ones (depth dropout); 0 means all.
    /// Default 0.
    package var activeBlocks: Int
    /// The temperature, by which the loss divides similarities. Default 0.05, as in the paper.
    package var temperature: Float
    /// The weight of representation alignment in the loss; 0 disables it. Default 0.01, which is small compared with
    /// the self-supervised loss.
    package var alignment: Float
    /// Further regularisers. Default none.
    package var regularisers = RegulariserSections()
    /// The classes and the classifier of the objective classification. Default none.
    package var classification: Classification?
    /// The exact steps of the objective regression. Default none: its defaults.
    package var regression: Regression?
    /// The weights of the terms of the objective infomax. Default none: their defaults.
    package var infomax: GraphInfomaxConfiguration?
    /// The weights of the terms of the objective vicreg. Default none: their defaults.
    package var vicreg: VICRegConfiguration?
    /// The weight of the objective barlow. Default none: its default.
    package var barlow: BarlowConfiguration?
    /// The masks and the decoder of the objective masked. Default none: their defaults.
    package var masked: MaskedConfiguration.Settings?
    /// The selection of a stage's images by the exits of the stages before. Default none: all images.
    package var cascade: Cascade?
    /// Training on the server's images after aggregation. Default none, because it requires such images.
    package var calibration: Calibration?

    package init(
      strategy: Strategy = .layerWise, layersPerStage: Int = 1, laps: Int = 1,
      roundsPerStage: Rounds = .each(15), stageEnd: StageEnd = StageEnd(),
      initialisation: LayerInitialisation = .transfer, objective: ObjectiveKind = .simclr,
      momentum: Float = 0.99, activeBlocks: Int = 0, temperature: Float = 0.05, alignment: Float = 0.01,
      calibration: Calibration? = nil
    ) {
      self.strategy = strategy
      self.layersPerStage = layersPerStage
      self.laps = laps
      self.roundsPerStage = roundsPerStage
      self.stageEnd = stageEnd
      self.initialisation = initialisation
      self.objective = objective
      self.momentum = momentum
      self.activeBlocks = activeBlocks
      self.temperature = temperature
      self.alignment = alignment
      self.calibration = calibration
    }
  }
}

extension Plan.Method {
  /// One number for all stages, or a list with an entry for each.
  package enum Rounds: Sendable, Hashable, Codable {
    case each(Int)
    case list([Int])

    package init(from decoder: any Swift.Decoder) throws {
      let value = try decoder.singleValueContainer()
      do {
        self = .each(try value.decode(Int.self))
      } catch DecodingError.typeMismatch {
        self = .list(try value.decode([Int].self))
      }
    }

    /// Encodes a number or a list, as in the plan's file.
    package func encode(to encoder: any Swift.Encoder) throws {
      var value = encoder.singleValueContainer()
      switch self {
      case .each(let rounds): try value.encode(rounds)
      case .list(let rounds): try value.encode(rounds)
      }
    }
  }
}

extension Plan {
  /// The end of a stage.
  package struct StageEnd: Sendable, Hashable, Codable {
    /// The curriculum, which ends a stage. Default fixed, as in the paper.
    package var when: CurriculumKind
    /// The number of rounds whose mean loss a plateau compares with that of the same number before. Default 3, because
    /// the loss of a single round depends on its clients.
    package var window: Int
    /// The share by which the mean loss must fall for a stage to continue. Default 0.01.
    package var improvement: Float
    /// The minimum number of rounds of a stage with a plateau. Default 1: the two windows already require more.
    package var minimum: Int
    /// The file of a learned controller, relative to the plan's file. Only the server reads it. Default nil.
    package var model: String?

    package init(
      _ when: CurriculumKind = .fixed, window: Int = 3, improvement: Float = 0.01, minimum: Int = 1,
      model: String? = nil
    ) {
      (self.when, self.window, self.improvement) = (when, window, improvement)
      (self.minimum, self.model) = (minimum, model)
    }
  }

  /// The classes of a job with labels, and the classifier that a stage trains.
  package struct Classification: Sendable, Hashable, Codable {
    /// The classes. No default.
    package var classes: ClassList
    /// The width of the classifier's hidden layer. Default 0: a linear classifier.
    package var hidden: Int
    /// The label smoothing. Default 0.
    package var smoothing: Float
    /// The side g of the grid whose cells' means a ResNet's classifier reads. Default 1, the mean of all pixels.
    package var grid: Int

    package init(classes: ClassList, hidden: Int = 0, smoothing: Float = 0, grid: Int = 1) {
      (self.classes, self.hidden, self.smoothing, self.grid) = (classes, hidden, smoothing, grid)
    }
  }

  /// Whether a client may have nothing to train on in a stage, in which it then takes no part: a cascade left it no
  /// images, or no node of its graph has a label for training.
  package func mayBeEmpty(stage: Int) -> Bool {
    if case .nodes = encoder.input, method.classification != nil { return true }
    return isSelecting(stage: stage)
  }

  /// Returns the examples of which a training is made: in the inductive setting the subgraph of the training nodes, or of
  /// all nodes if the graph has no labels.
  package func trainingPart(of examples: Dataset) -> Dataset {
    guard case .nodes(let set) = examples, local.setting == .inductive, set.classes > 0,
      set.split.train.count < set.count
    else { return examples }
    return .nodes(set.subset(set.split.train))
  }

  /// Returns the examples with the labels of the plan's classes if its objective needs labels. Throws ``DatasetError``,
  /// also if rows do not have the targets of its encoder.
  package func labelled(_ examples: Dataset) throws(DatasetError) -> Dataset {
    if case .rows(let rows) = examples, encoder.family == .linear {
      guard rows.targetCount == encoder.linear.outputs else {
        throw .otherTargets(own: rows.targetCount, encoder: encoder.linear.outputs)
      }
    }
    guard let classification = method.classification else { return examples }
    return try examples.labelled(by: classification.classes)
  }
}
