/// A table as comma-separated values (RFC 4180, with line feeds), which spreadsheets and data frames read.
package struct CSV: Sendable {
  private let width: Int
  /// The table with its heading; each line ends with a line feed.
  package private(set) var text = ""

  package init(_ columns: [String]) {
    width = columns.count
    append(columns)
  }

  /// Adds a line; nil is an empty cell.
  package mutating func append(_ cells: [String?]) {
    precondition(cells.count == width, "\(cells.count) cells of \(width) columns")
    text += cells.map { Self.cell($0 ?? "") }.joined(separator: ",") + "\n"
  }

  /// Returns a cell in quotes if it needs them.
  package static func cell(_ text: String) -> String {
    guard text.contains(where: { ",\"\n\r".contains($0) || $0 == "\r\n" }) else { return text }
    return "\"\(text.replacing("\"", with: "\"\""))\""
  }
}
