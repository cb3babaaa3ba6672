import Engine
import Foundation
import Support

/// A folder of golden cases: `manifest.json` and one safetensors file per case.
package struct GoldenFolder {
  /// An attribute of a case: a number, a text or a list of numbers.
  package enum Attribute: Decodable, Sendable {
    case number(Double)
    case text(String)
    case numbers([Double])

    package init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let number = try? container.decode(Double.self) {
        self = .number(number)
      } else if let numbers = try? container.decode([Double].self) {
        self = .numbers(numbers)
      } else {
        self = .text(try container.decode(String.self))
      }
    }
  }

  private struct Manifest: Decodable {
    let format: Int
    let cases: [Entry]
  }

  private struct Entry: Decodable {
    let name: String
    let op: String
    let file: String
    let tolerance: Double
    let attributes: [String: Attribute]
  }

  package let cases: [GoldenCase]

  /// Reads the manifest. Throws ``ConformanceError`` if it is missing or invalid.
  package init(_ folder: URL) throws {
    let manifest = folder.appendingPathComponent("manifest.json")
    guard let data = try? Data(contentsOf: manifest) else {
      throw ConformanceError("\(manifest.path): there is no such file")
    }
    do {
      let decoded = try JSON.read(Manifest.self, from: data)
      guard decoded.format == 1 else {
        throw ConformanceError("\(manifest.path): format \(decoded.format); this version reads format 1")
      }
      cases = decoded.cases.map {
        GoldenCase(
          name: $0.name, op: $0.op, file: folder.appendingPathComponent($0.file), tolerance: $0.tolerance,
          attributes: $0.attributes)
      }
    } catch let error as DecodingError {
      throw ConformanceError("\(manifest.path): \(error)")
    }
  }
}

/// One golden case, without its tensors.
package struct GoldenCase {
  package let name: String
  package let op: String
  let file: URL
  package let tolerance: Double
  let attributes: [String: GoldenFolder.Attribute]

  func tensors() throws -> GoldenTensors {
    guard let data = try? Data(contentsOf: file) else {
      throw ConformanceError("\(file.path): there is no such file")
    }
    return GoldenTensors(case: self, file: try Safetensors(parsing: data))
  }

  func has(_ attribute: String) -> Bool { attributes[attribute] != nil }

  func number(_ name: String) throws -> Double {
    guard case .number(let value) = attributes[name] else { throw missing(name, "number") }
    return value
  }

  func integer(_ name: String) throws -> Int {
    guard let value = Int(exactly: try number(name)) else { throw missing(name, "whole number") }
    return value
  }

  func text(_ name: String) throws -> String {
    guard case .text(let value) = attributes[name] else { throw missing(name, "text") }
    return value
  }

  func integers(_ name: String) throws -> [Int] {
    guard case .numbers(let values) = attributes[name] else { throw missing(name, "list of numbers") }
    return values.map { Int($0) }
  }

  private func missing(_ name: String, _ kind: String) -> ConformanceError {
    ConformanceError("attribute \(name): must be a \(kind)")
  }
}

/// The tensors of a case.
struct GoldenTensors {
  let `case`: GoldenCase
  let file: Safetensors

  func callAsFunction(_ name: String) throws -> Safetensors.Tensor {
    guard let tensor = file.tensors[name] else { throw ConformanceError("there is no tensor \(name)") }
    return tensor
  }

  /// Returns the sorted names with a prefix, without the prefix.
  func names(_ prefix: String) -> [String] {
    file.names.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }.sorted()
  }

  func has(_ name: String) -> Bool { file.tensors[name] != nil }
}

/// The reason why a case or a whole folder could not be run.
package struct ConformanceError: Error, CustomStringConvertible {
  package let description: String

  init(_ description: String) { self.description = description }
}
