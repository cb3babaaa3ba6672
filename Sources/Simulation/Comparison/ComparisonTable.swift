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
  package static let none = "–"

  /// Returns the figures; with several seeds as mean ± standard deviation.
  package static func figures(of report: ComparisonReport) -> ComparisonTable {
    figures(of: report, known(report))
  }

  /// Returns the results, and the costs, for a page, on which one table with both would be too wide.
  package static func parts(of report: ComparisonReport) -> (results: ComparisonTable, costs: ComparisonTable)
  {
    let known = known(report)
    return (figures(of: report, known.filter { !$0.isCost }), figures(of: report, known.filter(\.isCost)))
  }

  private static func figures(of report: ComparisonReport, _ known: [Figure]) -> ComparisonTable {
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

  /// The results whose values are shown for each seed.
  package static let main: [Figure] = [.linearProbe, .accuracy, .logisticRegression]

  /// Returns the values of a figure for each seed; nil with one seed, or if no row has the figure.
  package static func bySeed(_ figure: Figure, of report: ComparisonReport) -> ComparisonTable? {
    let rows = report.rows.filter { $0.figures[figure] != nil }
    guard report.seeds.count > 1, !rows.isEmpty else { return nil }
    let scale = figure.unit.scale(for: rows.compactMap { $0.figures[figure]?.mean })
    return ComparisonTable(
      headings: report.seeds.map { "seed \($0)" },
      lines: rows.map { row in
        let values = row.values[figure] ?? []
        // A file of another comparison may have other numbers of values.
        let cells = report.seeds.indices.map {
          values.indices.contains($0) ? values[$0].map(scale.text) ?? none : none
        }
        return Line(label: row.variant.label, cells: cells)
      })
  }

  /// The title of ``bySeed(_:of:)``.
  package static func title(bySeed figure: Figure) -> String {
    "\(figure.heading)\(figure.unit == .share ? ", %" : "") by seed"
  }

  /// Returns the rows compared with their counterparts: ratios of costs and differences of results, over the
  /// seeds that both have, each with half of its 95 % confidence interval. Nil if no row has a counterpart.
  package static func comparisons(of report: ComparisonReport) -> ComparisonTable? {
    let rows = report.rows.filter { !$0.comparisons.isEmpty }
    guard !rows.isEmpty else { return nil }
    let known = known(report).filter { figure in rows.contains { $0.comparisons[figure] != nil } }
    return ComparisonTable(
      headings: known.map {
        "\($0.heading) \($0.isCost ? "ratio" : $0.unit == .share ? "points" : "difference")"
      },
      lines: rows.map { row in
        let cells = known.map { figure in
          row.comparisons[figure].map { text($0, figure, of: report) } ?? none
        }
        return Line(label: row.variant.label, cells: cells)
      })
  }

  /// The heading of ``comparisons(of:)``.
  package static func heading(of report: ComparisonReport) -> String {
    let rows = Set(report.rows.compactMap(\.against))
    return rows.count == 1
      ? "Against \(rows.first!)" : "Against \(report.against), with the same other settings"
  }

  /// Returns a ratio or a difference with its margin; of a single seed without one.
  private static func text(_ pair: PairedComparison, _ figure: Figure, of report: ComparisonReport) -> String
  {
    let (spread, margin) =
      figure.isCost ? (pair.ratio, pair.ratioMargin) : (pair.difference, pair.differenceMargin)
    guard let spread else { return none }
    let scale: FigureUnit.Scale? = figure.isCost ? nil : figure.unit.scale(for: [1])
    func number(_ value: Double) -> String { scale?.text(value) ?? Numeral.fixed(value, digits: 2) }
    // A sign shows that it is a difference.
    let sign = !figure.isCost && spread.mean > 0 ? "+" : ""
    let mean = sign + number(spread.mean)
    if let margin { return "\(mean) ± \(number(margin))" }
    return report.seeds.count > 1 && figure != .memory ? "\(mean) (one seed)" : mean
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
    for figure in main {
      guard let table = bySeed(figure, of: report) else { continue }
      text += "\n\(title(bySeed: figure))\n\n\(table.text(columns: columns))"
    }
    if let comparisons = comparisons(of: report) {
      text += "\n\(heading(of: report).lowercasedFirst), \(margins(of: report))\n\n"
      text += comparisons.text(columns: columns)
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

  /// What the margins of ``comparisons(of:)`` are.
  package static func margins(of report: ComparisonReport) -> String {
    report.seeds.count == 1
      ? "a single seed, so without intervals"
      : "mean over the seeds ± half of the 95 % confidence interval (paired by seed, Student's t)"
  }

  /// The explanations below a table.
  package static let notes = [
    "Memory: the peak of resident memory in a step of any stage, measured in a process of its own.",
    "Compute: matrix products of the average client, counted; upload and download: its bytes at the socket.",
    "Time: all rounds, with all clients on this machine. Centralised: one client with all data, end to end.",
  ]
}

extension String {
  fileprivate var lowercasedFirst: String { prefix(1).lowercased() + dropFirst() }
}

extension ComparisonReport.Failure: CustomStringConvertible {
  package var description: String { "\(name): \(reason) (exit code \(code))" }
}
