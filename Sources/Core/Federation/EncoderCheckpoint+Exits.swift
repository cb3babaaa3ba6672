import Datasets
import Engine
import Support

extension EncoderCheckpoint {
  /// The exits of a classification in a file: their places and the shape of their classifiers, as in the metadata.
  package struct Exits: Sendable, Hashable, Codable {
    /// The classes, with names or numbered.
    package let classes: ClassList
    /// The width of a classifier's hidden layer; 0 for linear classifiers.
    package let hidden: Int
    /// The side g of the grid whose cells' means a ResNet's classifiers read.
    package let grid: Int
    /// The numbers of blocks below the exits, ascending; the last exit is at the end of the encoder.
    package let depths: [Int]
    /// The cascade with which the exits were trained; nil without one.
    package let cascade: Plan.Cascade?

    /// Takes the exits of a model. Those above blocks that train in this stage are omitted, because their classifiers were
    /// trained on the outputs of other weights; therefore only a layer-wise plan leaves more than one. Nil if the method
    /// is not a classification.
    init?(_ method: Plan.Method, of stage: Stage) {
      guard let classification = method.classification else { return nil }
      cascade = method.cascade
      (classes, hidden) = (classification.classes, classification.hidden)
      grid = classification.grid
      depths = stage.model.exits.map(\.depth).filter { $0 <= stage.prefixDepth } + [stage.model.depth]
    }

    /// Returns the model of an encoder with these exits.
    func model(of encoder: EncoderConfiguration) -> Model {
      // With a grid a ResNet has no temporary layer, and its parameters are those of the finished encoder.
      Model(
        encoder.pooled(grid: grid),
        objective: .classification(
          ClassifierConfiguration(
            classes: classes.count, hidden: hidden, commitment: cascade?.commitment ?? false,
            convention: encoder.classifierConvention)),
        blocks: Array(0..<encoder.depth), exits: depths.dropLast())
    }

    /// Writes the classes and their classifiers to a plan, whose rules check them.
    func write(into plan: inout Plan) {
      plan.method.objective = .classification
      plan.method.alignment = 0
      plan.method.classification = Plan.Classification(classes: classes, hidden: hidden, grid: grid)
      plan.method.cascade = cascade
    }

    /// Returns the rule with which an image leaves early, from a confidence of 0 … 1 on.
    package func rule(confidence: Float) -> ExitRule {
      ExitRule(confidence: confidence, gate: (cascade ?? Plan.Cascade()).gate)
    }

    /// Checks the places of the exits. Throws ``CheckpointError``.
    func checkDepths(of encoder: EncoderConfiguration) throws(CheckpointError) {
      let isAscending = zip(depths, depths.dropFirst()).allSatisfy { $0 < $1 }
      guard isAscending, depths.first.map({ $0 > 0 }) == true, depths.last == encoder.depth else {
        throw CheckpointError(
          "\(Key.exits) of its metadata has the depths \(depths); must ascend from at least 1 to \(encoder.depth), the encoder's depth"
        )
      }
    }
  }

  /// The encoder with its exits, ready to classify; nil if the file has an encoder only.
  package var classifier: Model? { exits.map { $0.model(of: configuration) } }

  /// The parameters in the file, in its order.
  var entries: [Layout.Entry] { (classifier?.layout ?? layout).entries }
}
