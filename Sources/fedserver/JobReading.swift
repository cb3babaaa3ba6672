import Commands
import Foundation
import Pages
import Server
import Support
import Watch

/// A database's job as it is at one moment. Throws ``CommandFailure`` where there is none, and `StoreError`.
func readJob(_ database: String) throws -> (recorded: RecordedJob, overview: Overview) {
  guard let recorded = try History(database).job() else { throw CommandFailure.noServer(on: database) }
  do { return (recorded, Overview(recorded, try Overview.plan(of: recorded), at: Date())) } catch {
    throw CommandFailure(.store, "\(database): \(error)")
  }
}

extension CommandFailure {
  static func noServer(on database: String) -> CommandFailure {
    CommandFailure(.store, "\(database): no server has run on it yet")
  }
}

/// Cells in columns, each as wide as its widest; what is a number stands at the right. What a cell holds may come from
/// a database that somebody else has written.
func table(_ heads: [(String, isNumber: Bool)], _ rows: [[String]]) -> String {
  let rows = rows.map { $0.map { ForeignText($0).description } }
  let widths = heads.indices.map { column in
    ([heads[column].0] + rows.map { $0[column] }).map(\.count).max() ?? 0
  }
  return ([heads.map(\.0)] + rows).map { row in
    let cells = row.indices.map { column in
      let space = String(repeating: " ", count: widths[column] - row[column].count)
      return heads[column].isNumber ? space + row[column] : row[column] + space
    }
    let line = cells.joined(separator: "  ")
    return String(line.reversed().drop { $0 == " " }.reversed())
  }.joined(separator: "\n")
}

/// A text in a table of a terminal: one line without anything that a terminal would obey, whoever has written it.
private func cell(_ text: String) -> String {
  let isShown = { (scalar: Unicode.Scalar) in
    ![.control, .format, .lineSeparator, .paragraphSeparator].contains(scalar.properties.generalCategory)
  }
  return String(String.UnicodeScalarView(text.unicodeScalars.map { isShown($0) ? $0 : "\u{FFFD}" }))
}

/// A number with so many digits, where there is one.
func number(_ value: Double?, digits: Int) -> String {
  value.map { Numeral.fixed($0, digits: digits) } ?? "-"
}
