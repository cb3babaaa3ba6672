import GRDB

/// The error of a failed call to the store, described in one line.
package struct StoreError: Error, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }

  /// Returns the reason of an error in one line, without rows or statements.
  static func reason(_ error: any Error) -> String {
    switch error {
    case let error as DatabaseError where error.resultCode == .SQLITE_TOOBIG:
      return "a value in it is too long"
    case let error as DatabaseError:
      return firstLine(error.message ?? "SQLite error \(error.resultCode.rawValue)")
    case is RowDecodingError:
      let column = "\(error)".firstMatch(of: /column: "(\w+)"/).map { " \($0.1)" } ?? ""
      return "its column\(column) contains an invalid value"
    case let error as DecodingError:
      let field = error.path.isEmpty ? "" : " in \(firstLine(error.path))"
      return "a record in it cannot be read\(field)"
    default: return firstLine("\(error)")
    }
  }

  /// Returns the first line of an error, shortened and without control characters, since it may quote the database.
  package static func firstLine(_ text: String) -> String {
    let isShown = { (scalar: Unicode.Scalar) in
      ![.control, .format, .lineSeparator, .paragraphSeparator].contains(scalar.properties.generalCategory)
    }
    let line = text.unicodeScalars.prefix { $0 != "\n" }.prefix(400)
    return String(String.UnicodeScalarView(line.map { isShown($0) ? $0 : " " }))
  }
}

extension DecodingError {
  /// The path of the invalid value.
  fileprivate var path: String {
    let keys: [any CodingKey] =
      switch self {
      case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
        context.codingPath
      case .keyNotFound(let key, let context): context.codingPath + [key]
      @unknown default: []
      }
    return keys.map(\.stringValue).joined(separator: ".")
  }
}
