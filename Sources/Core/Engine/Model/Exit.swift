/// A readout with a classifier after `depth` blocks, at which inference can stop. A stage of a classification leaves its
/// readout and classifier behind as an exit, whose parameters are a part of the model.
package struct Exit: Sendable {
  /// The number of blocks before the exit.
  package let depth: Int
  package let readout: Readout
  package let classifier: Classifier
  /// The range of the readout's parameters in the model's layout.
  let readoutRange: Range<Int>

  /// Adds the parameters of an exit after `depth` blocks to a layout, as a part; readout first, then classifier.
  init(behind depth: Int, of encoder: any Encoder, _ objective: any Objective, in layout: inout Layout) {
    precondition(
      (1...encoder.blocks.count).contains(depth), "an exit after \(depth) of \(encoder.blocks.count) blocks")
    self.depth = depth
    layout.part = Self.part(depth)
    let start = layout.range.upperBound
    readout = encoder.makeReadout(Self.part(depth), behind: depth, in: &layout)
    readoutRange = start..<layout.range.upperBound
    let width = encoder.output(behind: depth)
    guard let classifier = objective.makeClassifier(Self.part(depth), width: width, in: &layout) else {
      preconditionFailure("an exit of an objective that does not classify")
    }
    self.classifier = classifier
  }

  /// The exit at the end of a model; nil if its objective does not classify.
  init?(last model: Model) {
    guard let classifier = model.objective.classifier else { return nil }
    (depth, readout, self.classifier) = (model.depth, model.encoder.readout, classifier)
    readoutRange = model.headStart..<model.encoderRange.upperBound
  }

  /// Returns the name of the part of an exit after `depth` blocks.
  package static func part(_ depth: Int) -> String { "exits.\(depth)" }

  /// Returns the number of blocks before the exit that a part contains; nil if it is no exit.
  package static func depth(ofPart name: String) -> Int? {
    name.hasPrefix("exits.") ? Int(name.dropFirst("exits.".count)) : nil
  }
}

extension Model {
  /// The exits by depth, with the last one if the objective classifies.
  package var allExits: [Exit] { exits + [Exit(last: self)].compactMap(\.self) }
}
