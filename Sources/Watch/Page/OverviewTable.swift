import Pages

/// A table of text: a heading for each column, and rows whose first cell names them.
struct OverviewTable {
  struct Column {
    let heading: String
    /// Whether it holds words, which stand on the left.
    var isText = false
    /// A class of its cells besides.
    var style = ""

    var mark: String {
      let classes = [isText ? "text" : "", style].filter { !$0.isEmpty }
      return classes.isEmpty ? "" : " class=\"\(classes.joined(separator: " "))\""
    }
  }

  /// The columns behind the first.
  let columns: [Column]
  let first: String
  /// A name that is text, and cells that are markup, one a column.
  let rows: [(name: String, cells: [String])]
  /// What is said where there are no rows.
  let none: String

  /// - Parameters:
  ///   - live: the identifier of the rows, where they change on a page that is watched.
  ///   - isBox: whether it has a limited height, and scrolls by itself.
  ///   - isSortable: whether a script may sort its rows by a column.
  func html(
    _ label: String, live: String? = nil, isBox: Bool = false, isSortable: Bool = false
  ) -> String {
    let head = columns.map { "<th scope=\"col\"\($0.mark)>\(Markup.escape($0.heading))</th>" }
    var lines = rows.map { row in
      let cells = zip(columns, row.cells).map { "<td\($0.mark)>\($1)</td>" }
      let name = Markup.escape(row.name)
      return "<tr><th scope=\"row\" title=\"\(name)\">\(name)</th>\(cells.joined())</tr>"
    }
    if lines.isEmpty {
      lines = [
        "<tr><td class=\"text muted\" colspan=\"\(columns.count + 1)\">\(Markup.escape(none))</td></tr>"
      ]
    }
    let mark = live.map { " id=\"\($0)\" data-live=\"\"" } ?? ""
    return """
      <div class="scroll\(isBox ? " box" : "")" tabindex="0" role="region" aria-label="\(Markup.escape(label))">
      <table\(isSortable ? " id=\"\(live ?? "")Table\"" : "")>
      <thead><tr><th scope="col" class="text">\(Markup.escape(first))</th>\(head.joined())</tr></thead>
      <tbody\(mark)>
      \(lines.joined(separator: "\n"))
      </tbody>
      </table>
      </div>
      """
  }
}
