import Datasets
import Federation
import Foundation
import Support

/// A setting that a comparison varies, and its values: a field of the plan, or an option of `fedsim run`.
package struct ComparisonAxis: Sendable, Hashable {
  /// An option of `fedsim run` that can be varied.
  package enum Option: String, Sendable, CaseIterable {
    case clients, data, partition, dropout, link
  }

  /// A path in the plan, such as `local.learningRate`, or the name of an ``Option``.
  package let name: String
  /// The values as typed.
  package let values: [String]

  /// The option; nil for a field of the plan.
  package var option: Option? { Option(rawValue: name) }

  /// Short names of fields.
  private static let names = ["codec": "traffic.codec", "method.seed": "seed"]

  /// The accepted form, for messages and help texts.
  package static let accepted = "FIELD=VALUE,VALUE, or FIELD=VALUE;VALUE if a value has commas"

  /// Parses `FIELD=VALUE,VALUE`. Values are separated by semicolons if there is one.
  ///
  /// Throws ``ComparisonError/axis(_:)``.
  package init(parsing text: String) throws(ComparisonError) {
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2, !parts[0].isEmpty else {
      throw .axis("\(PlanRejection.shown(text)) is not \(Self.accepted)")
    }
    let separator: Character = parts[1].contains(";") ? ";" : ","
    let values = parts[1].split(separator: separator, omittingEmptySubsequences: false).map {
      $0.trimmingCharacters(in: .whitespaces)
    }
    guard !values.contains("") else { throw .axis("\(PlanRejection.shown(text)) has an empty value") }
    try self.init(parts[0], values)
  }

  /// Throws ``ComparisonError/axis(_:)`` for a value that is invalid or given twice. Values of a plan's field are checked
  /// with the plan.
  package init(_ name: String, _ values: [String]) throws(ComparisonError) {
    self.name = Self.names[name] ?? name
    self.values = values
    guard self.name != "seed" else { throw .axis("a comparison varies seeds with --seeds") }
    for (index, value) in values.enumerated() where values[..<index].contains(value) {
      throw .axis("\(self.name)=\(PlanRejection.shown(value)) is given twice")
    }
    guard let option else { return }
    for value in values { try RunOptions().set(option, value) }
  }
}

/// A varied setting with one of its values.
package struct ComparisonSetting: Sendable, Hashable, Codable, CustomStringConvertible {
  package let name, value: String

  package init(_ name: String, _ value: String) { (self.name, self.value) = (name, value) }

  package var description: String { "\(name)=\(value)" }

  /// Whether it has an effect on a single client that has all data.
  var concernsOneClient: Bool {
    switch ComparisonAxis.Option(rawValue: name) {
    case .data: true
    case .clients, .partition, .dropout, .link: false
    case nil: !name.hasPrefix("round.") && !name.hasPrefix("traffic.")
    }
  }

  /// The setting in the name of a folder: characters other than letters, digits and `.-=` become `_`.
  var slug: String {
    let text = String(
      description.map { $0.isASCII && ($0.isLetter || $0.isNumber || ".-=".contains($0)) ? $0 : "_" })
    // Different values must not share a folder.
    guard text != description || text.count > 60 else { return text }
    return "\(text.prefix(40))-\(Digest(of: Data(description.utf8)).description.prefix(8))"
  }
}

/// The options of `fedsim run` that determine the encoder, besides the plan.
package struct RunOptions: Sendable, Equatable {
  package var clients = 4
  package var data: DataSpec?
  package var partition = Partition.even
  package var dropout = 0.0
  package var link: LinkShape?

  package init() {}

  /// Sets an option from text. Throws ``ComparisonError/axis(_:)``.
  @discardableResult
  package func set(_ option: ComparisonAxis.Option, _ text: String) throws(ComparisonError) -> RunOptions {
    var options = self
    do {
      switch option {
      case .clients:
        guard let count = Int(text), (1...10_000).contains(count) else {
          throw ComparisonError.axis("clients=\(PlanRejection.shown(text)): must be 1 to 10000")
        }
        options.clients = count
      case .data: options.data = try DataSpec(parsing: text)
      case .partition: options.partition = try Partition(parsing: text)
      case .dropout:
        guard let chance = Double(text), (0..<1).contains(chance) else {
          throw ComparisonError.axis("dropout=\(PlanRejection.shown(text)): must be 0 to below 1")
        }
        options.dropout = chance
      case .link: options.link = text == "none" ? nil : try LinkShape(parsing: text)
      }
    } catch let error as ComparisonError {
      throw error
    } catch let error as LinkShapeError {
      throw .axis("\(error); values that have commas are separated by ';'")
    } catch {
      throw .axis("\(option.rawValue): \(error)")
    }
    return options
  }

  /// The options on a command line, without the data's.
  var arguments: [String] {
    var arguments = ["--clients", "\(clients)", "--partition", "\(partition)"]
    if dropout > 0 { arguments += ["--dropout", "\(dropout)"] }
    if let link { arguments += ["--link", "\(link)"] }
    return arguments
  }
}
