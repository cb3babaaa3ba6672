import Foundation

/// JSON as all of this software writes and reads it. JSON has no word for a number that is not finite, and none makes
/// these functions throw.
package enum JSON {
  /// For this software to read again, from a file or a connection: keys in order, and what is not finite as a string,
  /// `"NaN"`, `"Infinity"` or `"-Infinity"`.
  package static func stored(_ value: some Encodable) throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: infinity, negativeInfinity: "-" + infinity, nan: none)
    return try encoder.encode(value)
  }

  /// For people and other programs: keys in order, dates in ISO 8601, and what is not finite as `null`.
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

  /// Reads what ``stored(_:)`` has written.
  package static func read<Value: Decodable>(_ type: Value.Type = Value.self, from data: Data) throws -> Value
  {
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: infinity, negativeInfinity: "-" + infinity, nan: none)
    return try decoder.decode(type, from: data)
  }

  private static let (infinity, none) = ("Infinity", "NaN")
  /// Where a `null` belongs. Nobody's text can hold it: it is new in each process.
  private static let mark = "not finite \(UUID().uuidString)"
}
