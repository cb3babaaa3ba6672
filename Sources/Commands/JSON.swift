import Engine
import Support

/// A value as `--json` prints it.
package func json(_ value: some Encodable) throws -> String {
  escapedJSON(String(decoding: try JSON.shown(value), as: UTF8.self))
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
