import Pages
import Support

/// The counts of a partition as text for a terminal: numbers if they fit into its width, or a digit for each count.
package struct PartitionTable: Sendable {
  private let report: PartitionReport
  private let columns: Int

  /// The most characters of a class's name in a heading.
  private static let nameLimit = 10

  /// Creates a table of at most `columns` characters a line.
  package init(_ report: PartitionReport, columns: Int) {
    (self.report, self.columns) = (report, max(columns, 40))
  }

  /// The table, each line without its end.
  package var lines: [String] {
    let names = padded(["", "client"] + report.clients.map(\.name) + ["all"], isLeading: true)
    let fixed =
      [
        ["", "\(report.noun)s"] + report.clients.map { "\($0.size)" } + ["\(report.size)"]
      ] + (report.classNames.isEmpty ? [] : [["", "classes"] + classes, ["", "distance"] + distances])
      + (report.edges == nil ? [] : [["", "edges"] + edges, ["", "cut"] + cut])
    let leading = join([names] + fixed.map { padded($0) })
    guard !report.classNames.isEmpty else { return Array(leading.dropFirst()) }
    let numbers = report.classNames.indices.map(column).map { padded($0) }
    for gap in [2, 1] {
      let width = (leading.first?.count ?? 0) + numbers.reduce(0) { $0 + ($1.first?.count ?? 0) + gap }
      guard width <= columns else { continue }
      return Array(join([leading] + numbers, gap: gap).dropFirst())
    }
    return shades(leading)
  }

  private var classes: [String] { report.clients.map { "\($0.classes ?? 0)" } + [""] }

  private var distances: [String] {
    report.clients.map { $0.distance.map { Numeral.fixed($0, digits: 3) } ?? "" }
      + [report.meanDistance.map { Numeral.fixed($0, digits: 3) } ?? ""]
  }

  private var edges: [String] {
    report.clients.map { $0.edges.map { "\($0)" } ?? "" } + [report.edges.map { "\($0)" } ?? ""]
  }

  private var cut: [String] {
    report.clients.map { $0.cutEdges.map { "\($0)" } ?? "" } + [report.lostEdges.map { "\($0)" } ?? ""]
  }

  private func column(_ label: Int) -> [String] {
    ["", ForeignText(report.classNames[label], limit: Self.nameLimit).description]
      + report.clients.map { "\($0.counts?[label] ?? 0)" } + ["\(report.counts[label])"]
  }

  // MARK: - Digits

  /// Returns the lines with a digit for each class, as many classes beside each other as fit, and a legend.
  private func shades(_ leading: [String]) -> [String] {
    let names = leading.map { String($0.prefix(nameWidth)) }
    let (beside, room) = (columns - (leading.first?.count ?? 0) - 2, columns - nameWidth - 2)
    // The sizes stand beside the first classes if there is space for some.
    let isBeside = beside >= 30
    var (lines, first) = (isBeside ? [] : Array(leading.dropFirst()).map(Self.trimmed), 0)
    while first < report.classNames.count {
      let isFirst = first == 0 && isBeside
      let last = min(first + (isFirst ? beside : room) / 10 * 10, report.classNames.count)
      if !lines.isEmpty { lines.append("") }
      lines += zip(isFirst ? leading : names, digits(first..<last)).map { Self.trimmed("\($0)  \($1)") }
      first = last
    }
    return lines + [
      "",
      "A place is a class, 0 to \(report.classNames.count - 1), and a digit its share of the client's \(report.noun)s:",
      "1 is at most 1 %, 2 5 %, 3 11 %, 4 20 %, 5 31 %, 6 44 %, 7 60 %, 8 79 %,",
      "9 all; a dot is none. The counts are in --csv and --json.",
    ]
  }

  /// Returns a heading of two lines for some classes, a line for each client, and one for all data.
  private func digits(_ range: Range<Int>) -> [String] {
    let ruler = [
      stride(from: range.lowerBound, to: range.upperBound, by: 10)
        .map { Self.filled("\($0)", to: 10) }.joined(),
      range.map { $0 % 10 == 0 ? "|" : " " }.joined(),
    ]
    return ruler
      + (report.clients.map { $0.counts ?? [] } + [report.counts]).map { own in
        let total = own.reduce(0, +)
        return range.map { Self.digit(own[$0], of: total) }.joined()
      }
  }

  private var nameWidth: Int { report.clients.map(\.name.count).max() ?? 0 }

  /// Returns the digit of a share: d for a share of at most (d / 9)².
  private static func digit(_ count: Int, of total: Int) -> String {
    guard count > 0 else { return "." }
    let share = Double(count) / Double(total)
    return "\((1...9).first { Double($0 * $0) / 81 >= share } ?? 9)"
  }

  // MARK: - Columns

  private func padded(_ cells: [String], isLeading: Bool = false) -> [String] {
    let width = cells.map(\.count).max() ?? 0
    return cells.map { cell in
      let space = String(repeating: " ", count: width - cell.count)
      return isLeading ? cell + space : space + cell
    }
  }

  private func join(_ columns: [[String]], gap: Int = 2) -> [String] {
    (columns.first?.indices ?? 0..<0).map { row in
      columns.map { $0[row] }.joined(separator: String(repeating: " ", count: gap))
    }
  }

  private static func filled(_ text: String, to width: Int) -> String {
    text + String(repeating: " ", count: max(width - text.count, 0))
  }

  private static func trimmed(_ line: String) -> String {
    String(line.reversed().drop { $0 == " " }.reversed())
  }
}
