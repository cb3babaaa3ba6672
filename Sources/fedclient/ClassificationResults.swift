import Datasets
import Engine
import Federation
import Foundation
import Support

/// The examples of `fedclient classify`.
struct Classified: Sendable {
  let examples: Dataset
  let exits: EncoderCheckpoint.Exits
  /// The ranges between which results are written.
  let blocks: [Range<Int>]
  /// The multiply-accumulates of an example.
  let costs: ExitCosts
  /// The labels among the model's classes; nil if there are none, or for an example that does not count.
  private(set) var labels: [Int?]?
  /// The reason why existing labels give no accuracy.
  private(set) var labelProblem: String?
  init(
    _ examples: Dataset, _ exits: EncoderCheckpoint.Exits, _ costs: ExitCosts, blocks: [Range<Int>]
  ) {
    (self.examples, self.exits, self.costs, self.blocks) = (examples, exits, costs, blocks)
    do throws(DatasetError) {
      labels = examples.labels == nil ? nil : try examples.labelled(by: exits.classes).labels
      labelProblem = examples.labelProblem
    } catch {
      labelProblem = error.description
    }
  }

  var count: Int { examples.count }
  /// The word for one example.
  var noun: String { examples.noun }

  /// Removes the labels of all but some examples.
  mutating func keep(labelsOf some: [Int]) {
    guard let labels else { return }
    var kept = [Int?](repeating: nil, count: labels.count)
    for index in some { kept[index] = labels[index] }
    self.labels = some.isEmpty ? nil : kept
  }
}

/// The results of `fedclient classify` as text.
struct ClassificationText {
  private let format: ClassifyCommand.Format
  private let exits: EncoderCheckpoint.Exits
  private let noun: String
  private var rows = 0

  init(_ format: ClassifyCommand.Format, _ all: Classified) {
    (self.format, exits, noun) = (format, all.exits, all.noun)
  }

  /// An example in JSON.
  private struct Row: Encodable {
    let noun, name, `class`: String
    /// The number of the class, from 0.
    let label: Int
    let confidence: Decimal
    /// The number of the exit, from 1.
    let exit: Int

    func encode(to encoder: any Swift.Encoder) throws {
      var fields = encoder.container(keyedBy: FieldName.self)
      try fields.encode(name, forKey: FieldName(noun))
      try fields.encode(`class`, forKey: "class")
      try fields.encode(label, forKey: "label")
      try fields.encode(confidence, forKey: "confidence")
      try fields.encode(exit, forKey: "exit")
    }
  }

  var beginning: String {
    switch format {
    case .lines: ""
    case .csv: "\(noun),class,confidence,exit\n"
    case .json: "{\n\"\(noun)s\": ["
    }
  }

  /// Returns the text of the next example.
  mutating func row(_ name: String, _ prediction: EarlyExits.Prediction) throws -> String {
    rows += 1
    // A name may contain any character, and must stay on its line.
    let name = ForeignText(name, limit: .max).description
    let label = ForeignText(exits.classes.name(of: prediction.label), limit: .max).description
    let (exit, confidence) = (exits.number(of: prediction), Double(prediction.confidence))
    switch format {
    case .lines: return "\(name): \(label) \(String(format: "%.1f", 100 * confidence)) %, exit \(exit)\n"
    case .csv: return "\(CSV.cell(name)),\(CSV.cell(label)),\(String(format: "%.6f", confidence)),\(exit)\n"
    case .json:
      let row = Row(
        noun: noun, name: name, class: label, label: prediction.label,
        confidence: Decimal(string: String(format: "%.6f", confidence)) ?? 0, exit: exit)
      let text = String(decoding: try JSON.shown(row, isIndented: false), as: UTF8.self)
      return (rows == 1 ? "\n" : ",\n") + text
    }
  }

  /// Returns the text after the last example.
  func end(_ summary: ClassificationSummary) throws -> String {
    guard format == .json else { return "" }
    return "\n],\n\"summary\": \(String(decoding: try JSON.shown(summary), as: UTF8.self))\n}\n"
  }
}

extension EncoderCheckpoint.Exits {
  /// Returns the number of the exit at which an example left, from 1.
  fileprivate func number(of prediction: EarlyExits.Prediction) -> Int {
    (depths.firstIndex(of: prediction.depth) ?? 0) + 1
  }
}

/// The name of a field in JSON, which can depend on the kind of the examples.
private struct FieldName: CodingKey, ExpressibleByStringLiteral {
  let stringValue: String
  var intValue: Int? { nil }

  init(_ name: String) { stringValue = name }
  init(stringLiteral name: String) { stringValue = name }
  init?(stringValue: String) { self.init(stringValue) }
  init?(intValue: Int) { nil }
}

/// The figures of `fedclient classify` about all examples.
struct ClassificationSummary: Encodable, Sendable {
  /// The examples that left at an exit.
  private struct Exit {
    /// The number of the exit, from 1, and that of the blocks below it.
    let exit, depth: Int
    var count = 0
  }

  /// A file that cannot be read.
  private struct Broken: Encodable {
    let path, reason: String
  }

  /// The confidence at which an example leaves; nil without early exits.
  private let confidence: Float?
  /// The number of classified examples.
  private(set) var count = 0
  private var rate = 0.0
  private var exits: [Exit]
  /// The mean number of multiply-accumulates of an example.
  private var multiplyAccumulates = 0.0
  /// The accuracy, and that of always answering the most frequent class; nil unless the examples have the model's
  /// classes.
  private var accuracy: Double?
  private var majorityBaseline: Double?

  private let all: Classified
  private let start = ContinuousClock.now
  private var right = 0
  /// The number of classified examples of each class.
  private var classes: [Int: Int] = [:]

  init(_ all: Classified, confidence: Float?) {
    (self.all, self.confidence) = (all, confidence)
    exits = all.exits.depths.enumerated().map { Exit(exit: $0 + 1, depth: $1) }
  }

  func encode(to encoder: any Swift.Encoder) throws {
    var fields = encoder.container(keyedBy: FieldName.self)
    let counted = FieldName("\(all.noun)s")
    try fields.encodeIfPresent(confidence, forKey: "confidence")
    try fields.encode(count, forKey: counted)
    try fields.encode(rate, forKey: FieldName("\(all.noun)sPerSecond"))
    var list = fields.nestedUnkeyedContainer(forKey: "exits")
    for exit in exits {
      var fields = list.nestedContainer(keyedBy: FieldName.self)
      try fields.encode(exit.exit, forKey: "exit")
      try fields.encode(exit.depth, forKey: "depth")
      try fields.encode(exit.count, forKey: counted)
    }
    try fields.encode(multiplyAccumulates, forKey: "multiplyAccumulates")
    try fields.encode(fullMultiplyAccumulates, forKey: "fullMultiplyAccumulates")
    try fields.encodeIfPresent(accuracy, forKey: "accuracy")
    try fields.encodeIfPresent(majorityBaseline, forKey: "majorityBaseline")
    let broken = all.examples.broken.map { Broken(path: $0.path, reason: $0.reason) }
    try fields.encode(broken, forKey: "broken")
    try fields.encodeIfPresent(all.labelProblem, forKey: "labelProblem")
  }

  /// The multiply-accumulates of a pass that asks only the last exit.
  private var fullMultiplyAccumulates: Double { all.costs.full }

  /// Counts an example.
  mutating func count(_ prediction: EarlyExits.Prediction, _ index: Int) {
    guard let exit = exits.firstIndex(where: { $0.depth == prediction.depth }) else { return }
    count += 1
    exits[exit].count += 1
    guard let label = all.labels?[index] else { return }
    classes[label, default: 0] += 1
    if label == prediction.label { right += 1 }
  }

  /// Computes the figures after the last example. Throws ``DatasetError`` if none could be read.
  mutating func end() throws(DatasetError) {
    guard count > 0 else { throw .broken(all.examples.broken) }
    rate = Double(count) / max((ContinuousClock.now - start) / .seconds(1), 1e-9)
    multiplyAccumulates = fullMultiplyAccumulates
    if confidence != nil, case .images = all.examples {
      multiplyAccumulates =
        exits.enumerated().reduce(0.0) {
          $0 + Double($1.element.count) * all.costs.cost(stoppingAt: $1.offset)
        } / Double(count)
    }
    let counted = classes.values.reduce(0, +)
    if counted > 0 {
      accuracy = Double(right) / Double(counted)
      majorityBaseline = Double(classes.values.max() ?? 0) / Double(counted)
    }
  }

  /// The lines for a person; the last has the figures.
  var lines: [String] {
    let noun = all.noun
    var parts = ["\(count) \(noun)s", String(format: "%.0f %@s/s", rate, noun)]
    let shares = exits.map { "\(Self.percent($0.count, of: count)) at exit \($0.exit)" }
    parts.append(shares.joined(separator: ", "))
    parts.append(
      "\(Self.millions(multiplyAccumulates)) of \(Self.millions(fullMultiplyAccumulates)) multiply-accumulates \(noun == "image" ? "an" : "a") \(noun)"
    )
    if let accuracy, let majorityBaseline {
      parts.append(
        String(format: "accuracy %.1f %%, majority class %.1f %%", 100 * accuracy, 100 * majorityBaseline))
    }
    let notes = [
      BrokenFile.summary(all.examples.broken), all.labelProblem.map { "no accuracy: \($0)" },
    ]
    return notes.compactMap(\.self) + [parts.joined(separator: "; ")]
  }

  private static func percent(_ count: Int, of all: Int) -> String {
    String(format: "%.1f %%", 100 * Double(count) / Double(max(all, 1)))
  }

  /// Returns a number in millions, with three digits.
  private static func millions(_ value: Double) -> String {
    let number = value / 1e6
    return String(format: number < 10 ? "%.2f" : number < 100 ? "%.1f" : "%.0f", number) + " million"
  }
}
