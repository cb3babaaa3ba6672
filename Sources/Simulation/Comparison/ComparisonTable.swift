import Federation
import Foundation
import Pages
import Support

/// A table of figures as text in cells, for compare.txt and the page.
package struct ComparisonTable: Sendable {
  package struct Line: Sendable, Hashable {
    package let label: String
    package let cells: [String]
  }

  package let headings: [String]
  package let lines: [Line]

  /// The text of a cell without a figure.
  private static let none = "–"

  /// Returns the figures; with several seeds as mean ± standard deviation.
  package static func figures(of report: ComparisonReport) -> ComparisonTable {
    let known = known(report)
    let scales = known.map { figure in
      figure.unit.scale(for: report.rows.compactMap { $0.figures[figure]?.mean })
    }
    return ComparisonTable(
      headings: zip(known, scales).map { "\($0.heading) \($1.name)" },
      lines: report.rows.map { row in
        let cells = zip(known, scales).map { figure, scale in
          row.figures[figure].map { text($0, scale) } ?? none
        }
        return Line(label: label(row, of: report), cells: cells)
      })
  }

  /// Returns the ratios to end-to-end training with the same loss; nil if that was not run.
  package static func ratios(of report: ComparisonReport) -> ComparisonTable? {
    let rows = report.rows.filter { !$0.ratios.isEmpty }
    guard !rows.isEmpty else { return nil }
    let known = known(report).filter { figure in rows.contains { $0.ratios[figure] != nil } }
    return ComparisonTable(
      headings: known.map(\.heading),
      lines: rows.map { row in
        let cells = known.map { figure in row.ratios[figure].map { Numeral.fixed($0, digits: 2) } ?? none }
        return Line(label: row.variant.label, cells: cells)
      })
  }

  /// Returns the figures that at least one row has.
  private static func known(_ report: ComparisonReport) -> [Figure] {
    Figure.allCases.filter { figure in report.rows.contains { $0.figures[figure] != nil } }
  }

  private static func text(_ spread: Spread, _ scale: FigureUnit.Scale) -> String {
    let mean = scale.text(spread.mean)
    return spread.deviation.map { "\(mean) ± \(scale.text($0))" } ?? mean
  }

  private static func label(_ row: ComparisonReport.Row, of report: ComparisonReport) -> String {
    var remarks: [String] = []
    if row.finished == 0 {
      remarks.append(row.diverged > 0 ? "diverged" : "failed")
    } else if row.finished < report.seeds.count {
      remarks.append("\(row.finished) of \(report.seeds.count) seeds")
      if row.diverged > 0 { remarks.append("\(row.diverged) diverged") }
    }
    if row.collapsed > 0 { remarks.append(row.finished == 1 ? "collapsed" : "\(row.collapsed) collapsed") }
    return row.variant.label + (remarks.isEmpty ? "" : " (\(remarks.joined(separator: ", ")))")
  }
}

// MARK: - Text

extension ComparisonTable {
  /// Returns the columns below their headings, the first aligned left and the others aligned right.
  ///
  /// If the table is wider than `columns` characters, it is split into several tables, each with the first column.
  package func text(columns limit: Int? = nil) -> String {
    let rows = [[""] + headings] + lines.map { [$0.label] + $0.cells }
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    var parts: [[Int]] = [[]]
    for column in widths.indices.dropFirst() {
      let width = (parts[parts.count - 1] + [column]).reduce(widths[0]) { $0 + 2 + widths[$1] }
      if let limit, width >= limit, parts[parts.count - 1] != [] { parts.append([]) }
      parts[parts.count - 1].append(column)
    }
    return parts.map { Self.text(rows, [0] + $0, widths) }.joined(separator: "\n")
  }

  private static func text(_ rows: [[String]], _ columns: [Int], _ widths: [Int]) -> String {
    rows.map { row in
      let cells = columns.map { column in
        let space = String(repeating: " ", count: widths[column] - row[column].count)
        return column == 0 ? row[column] + space : space + row[column]
      }
      var line = cells.joined(separator: "  ")
      while line.last == " " { line.removeLast() }
      return line + "\n"
    }.joined()
  }

  /// Returns the text of a comparison for compare.txt, or for a terminal with `columns` columns.
  package static func text(of report: ComparisonReport, columns: Int? = nil) -> String {
    let seeds = report.seeds.map { "\($0)" }.joined(separator: ", ")
    var text = "\(report.name): \(counted(report.clients, "client")), \(report.data), \(report.partition), "
    text += report.seeds.count == 1 ? "seed \(seeds)\n\n" : "seeds \(seeds), mean ± standard deviation\n\n"
    text += figures(of: report).text(columns: columns)
    if let ratios = ratios(of: report) {
      text += "\nratios to end-to-end with the same loss\n\n\(ratios.text(columns: columns))"
    }
    if !report.failures.isEmpty {
      text += "\nfailed\n\n"
      for failure in report.failures { text += "\(failure.description)\n" }
    }
    return text + "\n" + notes.map { broken($0, columns) + "\n" }.joined()
  }

  /// Returns a text broken into lines of less than `columns` characters.
  private static func broken(_ text: String, _ columns: Int?) -> String {
    guard let columns else { return text }
    var lines = [""]
    for word in text.split(separator: " ") {
      let line = lines[lines.count - 1]
      if line.isEmpty {
        lines[lines.count - 1] = String(word)
      } else if line.count + 1 + word.count < columns {
        lines[lines.count - 1] += " \(word)"
      } else {
        lines.append("  \(word)")
      }
    }
    return lines.joined(separator: "\n")
  }

  /// The explanations below a table.
  package static let notes = [
    "Memory: the peak of resident memory in a step of any stage, measured in a process of its own.",
    "Compute: matrix products of the average client, counted; upload and download: its bytes at the socket.",
    "Time: all rounds, with all clients on this machine. Centralised: one client with all data, end to end.",
  ]
}

extension ComparisonReport.Failure: CustomStringConvertible {
  package var description: String { "\(name): \(reason) (exit code \(code))" }
}
