import Pages

/// A table of text: a heading for each column, and rows whose first cell names them.
struct OverviewTable {
  struct Column {
    let heading: String
    /// Whether it holds words, which stand on the left.
    var isText = false
  }

  /// The columns behind the first.
  let columns: [Column]
  let first: String
  /// Markup, a cell a column, the name's before them.
  let rows: [(name: String, cells: [String])]

  /// - Parameter live: the identifier of the rows, where they change on a page that is watched.
  func html(_ label: String, live: String? = nil) -> String {
    let head = columns.map { column in
      "<th scope=\"col\"\(column.isText ? " class=\"text\"" : "")>\(Markup.escape(column.heading))</th>"
    }
    let lines = rows.map { row in
      let cells = zip(columns, row.cells).map { column, cell in
        "<td\(column.isText ? " class=\"text\"" : "")>\(cell)</td>"
      }
      return "<tr><th scope=\"row\">\(row.name)</th>\(cells.joined())</tr>"
    }
    let mark = live.map { " id=\"\($0)\" data-live=\"\"" } ?? ""
    return """
      <div class="scroll" tabindex="0" role="region" aria-label="\(Markup.escape(label))">
      <table>
      <thead><tr><th scope="col" class="text">\(Markup.escape(first))</th>\(head.joined())</tr></thead>
      <tbody\(mark)>
      \(lines.joined(separator: "\n"))
      </tbody>
      </table>
      </div>
      """
  }
}
