import Foundation
import Support

/// A value as `--json` prints it: indented, keys in order, dates in ISO 8601.
package func json(_ value: some Encodable) throws -> String {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
  encoder.dateEncodingStrategy = .iso8601
  return escapedJSON(String(decoding: try encoder.encode(value), as: UTF8.self))
}

/// JSON as a terminal may get it: what an encoder leaves as it is although a terminal could obey it is escaped.
package func escapedJSON(_ text: String) -> String {
  var result = String.UnicodeScalarView()
  for scalar in text.unicodeScalars {
    if scalar == "\n" || ForeignText.isPlain(scalar) {
      result.append(scalar)
    } else {
      for unit in UTF16.encode(scalar)! {
        let digits = String(unit, radix: 16)
        result.append(
          contentsOf: "\\u\(String(repeating: "0", count: 4 - digits.count))\(digits)".unicodeScalars)
      }
    }
  }
  return String(result)
}
