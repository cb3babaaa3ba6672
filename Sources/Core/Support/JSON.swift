import Foundation

/// Reads and writes JSON. JSON has no representation of non-finite numbers; these functions accept them and never throw
/// because of one.
package enum JSON {
  /// Encodes for this software to read again, from a file or a connection: keys are sorted, and non-finite numbers are
  /// the strings `"NaN"`, `"Infinity"` and `"-Infinity"`.
  package static func stored(_ value: some Encodable) throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: infinity, negativeInfinity: "-" + infinity, nan: none)
    return try encoder.encode(value)
  }

  /// Encodes for people and other programs: keys are sorted, dates are ISO 8601, and non-finite numbers are `null`.
  package static func shown(_ value: some Encodable, isIndented: Bool = true) throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    if isIndented { encoder.outputFormatting.insert(.prettyPrinted) }
    encoder.dateEncodingStrategy = .iso8601
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: mark, negativeInfinity: mark, nan: mark)
    let data = try encoder.encode(value)
    guard data.range(of: Data(mark.utf8)) != nil else { return data }
    return Data(String(decoding: data, as: UTF8.self).replacing("\"\(mark)\"", with: "null").utf8)
  }

  /// Decodes the output of ``stored(_:)``.
  package static func read<Value: Decodable>(_ type: Value.Type = Value.self, from data: Data) throws -> Value
  {
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: infinity, negativeInfinity: "-" + infinity, nan: none)
    return try decoder.decode(type, from: data)
  }

  private static let (infinity, none) = ("Infinity", "NaN")
  /// A placeholder for `null`. It is new in each process, so that no other text can contain it.
  private static let mark = "not finite \(UUID().uuidString)"
}
