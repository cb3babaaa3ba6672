import Datasets
import Engine
import Federation
import Foundation
import Support

/// The results of `fedclient classify` as text.
struct ClassificationText {
  private let format: ClassifyCommand.Format
  private let exits: EncoderCheckpoint.Exits
  private var rows = 0

  init(_ format: ClassifyCommand.Format, _ exits: EncoderCheckpoint.Exits) {
    (self.format, self.exits) = (format, exits)
  }

  /// An image in JSON.
  private struct Row: Encodable {
    let image, `class`: String
    /// The number of the class, from 0.
    let label: Int
    let confidence: Decimal
    /// The number of the exit, from 1.
    let exit: Int
  }

  var beginning: String {
    switch format {
    case .lines: ""
    case .csv: "image,class,confidence,exit\n"
    case .json: "{\n\"images\": ["
    }
  }

  /// Returns the text of the next image.
  mutating func row(_ name: String, _ prediction: EarlyExits.Prediction) throws -> String {
    rows += 1
    // A name may contain any character, and must stay on its line.
    let name = ForeignText(name, limit: .max).description
    let label = ForeignText(exits.classes.name(of: prediction.label), limit: .max).description
    let (exit, confidence) = (exits.number(of: prediction), Double(prediction.confidence))
    switch format {
    case .lines: return "\(name): \(label) \(String(format: "%.1f", 100 * confidence)) %, exit \(exit)\n"
    case .csv: return "\(Self.cell(name)),\(Self.cell(label)),\(String(format: "%.6f", confidence)),\(exit)\n"
    case .json:
      let row = Row(
        image: name, class: label, label: prediction.label,
        confidence: Decimal(string: String(format: "%.6f", confidence)) ?? 0, exit: exit)
      let text = String(decoding: try JSON.shown(row, isIndented: false), as: UTF8.self)
      return (rows == 1 ? "\n" : ",\n") + text
    }
  }

  /// Returns the text after the last image.
  func end(_ summary: ClassificationSummary) throws -> String {
    guard format == .json else { return "" }
    return "\n],\n\"summary\": \(String(decoding: try JSON.shown(summary), as: UTF8.self))\n}\n"
  }

  /// Returns a text as a cell (RFC 4180).
  private static func cell(_ text: String) -> String {
    text.contains { ",\"".contains($0) } ? "\"\(text.replacing("\"", with: "\"\""))\"" : text
  }
}

extension EncoderCheckpoint.Exits {
  /// Returns the number of the exit at which an image left, from 1.
  fileprivate func number(of prediction: EarlyExits.Prediction) -> Int {
    (depths.firstIndex(of: prediction.depth) ?? 0) + 1
  }
}

/// The figures of `fedclient classify` about all images.
struct ClassificationSummary: Encodable {
  /// The images that left at an exit.
  struct Exit: Encodable {
    /// The number of the exit, from 1, and that of the blocks below it.
    let exit, depth: Int
    var images = 0
  }

  /// A file that cannot be read.
  struct Broken: Encodable {
    let path, reason: String
  }

  /// The confidence at which an image leaves; nil without early exits.
  let confidence: Float?
  /// The number of classified images.
  private(set) var images = 0
  private(set) var imagesPerSecond = 0.0
  private(set) var exits: [Exit]
  /// The mean number of multiply-accumulates of an image, and that of a pass that asks only the last exit.
  private(set) var multiplyAccumulates = 0.0
  let fullMultiplyAccumulates: Double
  /// The accuracy, and that of always answering the most frequent class; nil unless the images have the model's classes.
  private(set) var accuracy: Double?
  private(set) var majorityBaseline: Double?
  private(set) var broken: [Broken] = []
  /// The reason why existing labels give no accuracy.
  private(set) var labelProblem: String?

  private let start = ContinuousClock.now
  private let costs: ExitCosts
  private let labels: [Int]?
  private var right = 0
  /// The number of classified images of each class.
  private var classes: [Int: Int] = [:]
  private var brokenFiles: [BrokenFile] = []

  private enum CodingKeys: CodingKey {
    case confidence, images, imagesPerSecond, exits, multiplyAccumulates, fullMultiplyAccumulates, accuracy
    case majorityBaseline, broken, labelProblem
  }

  init(_ images: ImageSet, _ classifier: ImageClassifier, confidence: Float?) {
    (self.confidence, costs) = (confidence, classifier.costs)
    exits = classifier.exits.depths.enumerated().map { Exit(exit: $0 + 1, depth: $1) }
    fullMultiplyAccumulates = costs.full
    do {
      labels = images.labels == nil ? nil : try images.labelled(by: classifier.exits.classes).labels
      labelProblem = images.labelProblem
    } catch {
      (labels, labelProblem) = (nil, error.description)
    }
  }

  /// Counts an image.
  mutating func count(_ prediction: EarlyExits.Prediction, _ index: Int) {
    guard let exit = exits.firstIndex(where: { $0.depth == prediction.depth }) else { return }
    images += 1
    exits[exit].images += 1
    guard let label = labels?[index] else { return }
    classes[label, default: 0] += 1
    if label == prediction.label { right += 1 }
  }

  /// Computes the figures after the last image. Throws ``DatasetError`` if none could be read.
  mutating func end(_ all: ImageSet) throws(DatasetError) {
    guard images > 0 else { throw .broken(all.broken) }
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    imagesPerSecond = Double(images) / max(seconds, 1e-9)
    let cost = exits.enumerated().reduce(0.0) { sum, exit in
      sum + Double(exit.element.images)
        * (confidence == nil ? costs.full : costs.cost(stoppingAt: exit.offset))
    }
    multiplyAccumulates = cost / Double(images)
    if labels != nil {
      accuracy = Double(right) / Double(images)
      majorityBaseline = Double(classes.values.max() ?? 0) / Double(images)
    }
    brokenFiles = all.broken
    broken = brokenFiles.map { Broken(path: $0.path, reason: $0.reason) }
  }

  /// The lines for a person; the last has the figures.
  var lines: [String] {
    var parts = ["\(images) images", String(format: "%.0f images/s", imagesPerSecond)]
    let shares = exits.map { "\(Self.percent($0.images, of: images)) at exit \($0.exit)" }
    parts.append(shares.joined(separator: ", "))
    parts.append(
      "\(Self.millions(multiplyAccumulates)) of \(Self.millions(fullMultiplyAccumulates)) multiply-accumulates an image"
    )
    if let accuracy, let majorityBaseline {
      parts.append(
        String(format: "accuracy %.1f %%, majority class %.1f %%", 100 * accuracy, 100 * majorityBaseline))
    }
    let notes = [BrokenFile.summary(brokenFiles), labelProblem.map { "no accuracy: \($0)" }]
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
