import Support

/// Counts by row and column as an HTML figure, with a bar for the size of each row; without columns, the bars alone.
///
/// The shade of a cell is the share of its row, as in ``ConfusionMatrixFigure``, whose style it has. With few columns
/// the cells contain their counts; with more they are small, and each has its count as a tooltip.
package struct CountMatrixFigure: Sendable {
  /// A row of the figure.
  package struct Row: Sendable {
    let name: String
    let counts: [Int]
    let size: Int
    let notes: String

    /// Creates a row.
    ///
    /// - Parameters:
    ///   - counts: a count for each column of the figure.
    ///   - size: the number of all things in the row, which is the length of its bar.
    ///   - notes: text behind the bar.
    package init(name: String, counts: [Int], size: Int, notes: String = "") {
      (self.name, self.counts, self.size, self.notes) = (name, counts, size, notes)
    }
  }

  private let rows: [Row]
  private let columns: [String]
  private let noun: String
  private let title: String

  private static let levels = 10
  private static let nameLimit = 60

  /// Creates a figure of rows with a count for each column. `noun` is the word for what is counted.
  package init(_ rows: [Row], columns: [String], noun: String, title: String) {
    self.rows = rows
    self.columns = columns.map { ForeignText($0, limit: Self.nameLimit).description }
    (self.noun, self.title) = (noun, title)
  }

  /// The figure as one `<figure>` element, which is also well-formed XML.
  package var html: String {
    let isUpright = columns.allSatisfy { $0.count <= 2 }
    let heads = columns.map { Markup.escape($0) }.map {
      "<th scope=\"col\" title=\"\($0)\"><span>\($0)</span></th>"
    }
    let title = Markup.escape(title)
    return """
      <figure class="confusion counts\(isDense ? " dense" : "")\(isUpright ? " upright" : "")">
      <figcaption>\(title)</figcaption>
      <div class="scroll" tabindex="0" role="region" aria-label="\(title)">
      <table>
      <thead><tr><td></td><th scope="col" class="size">\(noun)s</th>\(heads.joined())</tr></thead>
      <tbody>
      \(rows.map(line).joined(separator: "\n"))
      </tbody>
      </table>
      </div>
      \(columns.isEmpty ? "" : legend)
      </figure>
      """
  }

  private var isDense: Bool { columns.count > ConfusionMatrixFigure.mostNumbered }
  private var largest: Int { max(rows.map(\.size).max() ?? 0, 1) }

  private func line(_ row: Row) -> String {
    let name = Markup.escape(ForeignText(row.name, limit: Self.nameLimit).description)
    let length = Numeral.fixed(100 * Double(row.size) / Double(largest), digits: 1)
    let notes = row.notes.isEmpty ? "" : "<span class=\"note\">\(Markup.escape(row.notes))</span>"
    let bar =
      "<td class=\"size\">\(row.size) <svg viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect width=\"\(length)\" height=\"10\"/></svg>\(notes)</td>"
    let cells = zip(columns, row.counts).map { column, count in
      let share = Numeral.fixed(100 * Double(count) / Double(max(row.size, 1)), digits: 1)
      return
        "<td class=\"\(Self.shade(count, of: row.size))\" title=\"\(name), \(Markup.escape(column)): \(count) of \(row.size) (\(share)\u{A0}%)\">\(isDense ? "" : "\(count)")</td>"
    }
    return "<tr><th scope=\"row\" title=\"\(name)\">\(name)</th>\(bar)\(cells.joined())</tr>"
  }

  /// Returns the class of a cell's shade: m1 for a share of at most (1 / levels)², m2 for at most (2 / levels)² and so
  /// on; m0 for 0.
  private static func shade(_ count: Int, of total: Int) -> String {
    guard count > 0 else { return "m0" }
    let share = Double(levels * levels) * Double(count)
    return "m\((1...levels).first { Double($0 * $0) * Double(total) >= share } ?? levels)"
  }

  private var legend: String {
    let shades = (1...Self.levels).map { "<span class=\"m\($0)\">\($0 * $0)</span>" }
    return
      "<p class=\"shades\">Share of the client's \(noun)s, up to % <span>\(shades.joined())</span></p>"
  }
}

extension CountMatrixFigure {
  /// What the style has beyond ``PageStyle/css``.
  package static let css = """
    .counts .size { text-align: right; border-right: 1px solid var(--grid); }
    .counts td.size { background: none; min-width: 96px; }
    .counts svg { display: inline-block; width: 64px; height: 10px; fill: var(--s0); }
    .counts .note { margin-left: 8px; color: var(--muted); font-size: 0.85rem; }
    .counts.dense tbody td.size { padding: 0 6px; width: auto; min-width: 112px; }
    .counts.dense .note { display: none; }
    @media (max-width: 600px) {
      .counts .note { display: none; }
      .counts td.size { min-width: 0; }
      .counts svg { display: none; }
    }
    """
}
