import Support

/// A confusion matrix as an HTML figure. ``PageStyle`` has its style.
///
/// The shade of a cell is the share of its true class, on a scale of ten levels that grow with the square
/// root of the share, so that rare confusions are visible. Up to ``mostNumbered`` classes the cells contain
/// their counts; with more they are small, and each has its count as a tooltip. Large matrices scroll below
/// their headings.
package struct ConfusionMatrixFigure: Sendable {
  /// The most classes whose cells contain numbers.
  package static let mostNumbered = 20
  /// The most classes of a matrix that is drawn; a page of more would be too large.
  package static let mostClasses = 200
  /// The number of shades besides that of 0.
  private static let levels = 10
  /// The most characters of a class's name.
  private static let nameLimit = 60

  private let counts: [[Int]]
  /// Escaped for markup.
  private let names: [String]
  private let title: String
  /// Whether all names are short enough to be written horizontally above the columns.
  private let isUpright: Bool

  /// Creates a figure of the counts by true class (row) and predicted class (column), [C, C]. Without names,
  /// classes have their numbers from 0.
  package init(_ counts: [[Int]], names: [String]? = nil, title: String = "Confusion matrix") {
    precondition(
      counts.allSatisfy { $0.count == counts.count && $0.allSatisfy { $0 >= 0 } },
      "a confusion matrix of \(counts.count) rows and \(counts.map(\.count)) columns")
    precondition(
      names.map { $0.count == counts.count } ?? true,
      "\(names?.count ?? 0) names of \(counts.count) classes")
    let shown = (names ?? counts.indices.map(String.init)).map {
      ForeignText($0, limit: Self.nameLimit).description
    }
    (self.counts, self.names, self.title) = (counts, shown.map(Markup.escape), Markup.escape(title))
    isUpright = shown.allSatisfy { $0.count <= 2 }
  }

  /// The figure as one `<figure>` element, which is also well-formed XML.
  package var html: String {
    guard !counts.isEmpty, counts.count <= Self.mostClasses else {
      let reason =
        counts.isEmpty
        ? "There are no classes."
        : "The matrix of \(counts.count) classes is not drawn; at most \(Self.mostClasses) are."
      return "<figure class=\"confusion\">\n<figcaption>\(title)</figcaption>\n<p>\(reason)</p>\n</figure>"
    }
    let columns = names.map { "<th scope=\"col\" title=\"\($0)\"><span>\($0)</span></th>" }.joined()
    return """
      <figure class="confusion\(isDense ? " dense" : "")\(isUpright ? " upright" : "")">
      <figcaption>\(title)</figcaption>
      <div class="scroll" tabindex="0" role="region" aria-label="\(title)">
      <table>
      <thead><tr><td>true\u{A0}\u{2193} predicted\u{A0}\u{2192}</td>\(columns)</tr></thead>
      <tbody>
      \(counts.indices.map(row).joined(separator: "\n"))
      </tbody>
      </table>
      </div>
      \(legend)
      </figure>
      """
  }

  private var isDense: Bool { counts.count > Self.mostNumbered }

  private func row(_ index: Int) -> String {
    let total = counts[index].reduce(0.0) { $0 + Double($1) }
    let cells = counts[index].indices.map { column in
      let count = counts[index][column]
      let style = Self.shade(count, of: total) + (column == index ? " own" : "")
      var words = "true \(names[index]), predicted \(names[column]): \(count) of "
      words += Numeral.fixed(total, digits: 0)
      if total > 0 { words += " (\(Numeral.fixed(100 * Double(count) / total, digits: 1))\u{A0}%)" }
      return "<td class=\"\(style)\" title=\"\(words)\">\(isDense ? "" : "\(count)")</td>"
    }
    return "<tr><th scope=\"row\" title=\"\(names[index])\">\(names[index])</th>\(cells.joined())</tr>"
  }

  /// Returns the class of a cell's shade: m1 for a share of at most (1 / levels)², m2 for at most (2 /
  /// levels)² and so on; m0 for 0.
  private static func shade(_ count: Int, of total: Double) -> String {
    guard count > 0 else { return "m0" }
    let share = Double(levels * levels) * Double(count)
    return "m\((1...levels).first { Double($0 * $0) * total >= share } ?? levels)"
  }

  private var legend: String {
    let shades = (1...Self.levels).map { level in
      "<span class=\"m\(level)\">\(100 * level * level / (Self.levels * Self.levels))</span>"
    }
    return "<p class=\"shades\">Share of the true class, up to % <span>\(shades.joined())</span></p>"
  }
}

extension ConfusionMatrixFigure {
  /// The style, a part of ``PageStyle/css``. Below numbers a shade is at most 60 % of the first line colour,
  /// on which text can still be read in both modes.
  static let css = """
    .confusion { --step: 6%; }
    .confusion.dense { --step: 10%; }
    .confusion figcaption { font-weight: 600; margin: 8px 0; }
    .confusion .scroll { max-height: 90vh; overflow: auto; }
    .confusion td { text-align: center; border-right: 1px solid var(--grid); }
    .confusion thead th { position: sticky; top: 0; z-index: 1; text-align: center; }
    .confusion thead td { top: 0; z-index: 2; color: var(--muted); font-size: 0.85rem; border-right: 0; }
    .confusion thead td { white-space: normal; vertical-align: bottom; text-align: left; }
    .confusion thead span { display: inline-block; max-height: 128px; overflow: hidden; white-space: nowrap; }
    .confusion thead span { writing-mode: vertical-rl; rotate: 180deg; text-overflow: ellipsis; }
    .confusion.upright thead span { writing-mode: horizontal-tb; rotate: none; }
    .confusion tbody th { max-width: 128px; min-width: 0; white-space: nowrap; }
    .confusion tbody th { border-right: 1px solid var(--grid); }
    .confusion .own { box-shadow: inset 0 0 0 1px var(--rule); }
    .confusion.dense table { font-size: 11px; line-height: 14px; }
    .confusion.dense tbody th { padding: 0 6px; }
    .confusion.dense thead th { padding: 3px 0; font-weight: 400; }
    .confusion.dense tbody td { padding: 0; min-width: 15px; width: 15px; height: 15px; }
    .confusion .shades { color: var(--muted); font-size: 0.85rem; font-variant-numeric: tabular-nums; }
    .confusion .shades > span { display: inline-block; }
    .confusion .shades span span { display: inline-block; width: 30px; text-align: center; }
    .confusion tbody td, .confusion .shades span span {
      --shade: color-mix(in srgb, var(--s0) calc(var(--level) * var(--step)), var(--page));
    }
    .confusion tbody td { background: var(--shade); }
    .confusion .shades span span { border-bottom: 10px solid var(--shade); }
    .confusion .m0 { --level: 0; color: var(--muted); }
    \((1...levels).map { ".confusion .m\($0) { --level: \($0); }" }.joined(separator: "\n"))
    @media (max-width: 600px) {
      .confusion:not(.dense) td, .confusion:not(.dense) thead th { padding: 4px 3px; font-size: 0.8rem; }
      .confusion:not(.dense) tbody th { padding: 4px 6px 4px 0; font-size: 0.85rem; min-width: 0; max-width: 96px; }
    }
    @media print {
      .confusion { print-color-adjust: exact; }
      .confusion .scroll { max-height: none; overflow: visible; }
      .confusion thead th { position: static; }
      .confusion thead span { max-height: none; }
      .confusion.dense table { font-size: 5pt; line-height: 1; }
      .confusion.dense tbody td { min-width: 0; width: auto; height: 5pt; }
      .confusion tbody th { max-width: 40mm; white-space: normal; }
      .confusion.dense tbody th { padding: 0 2pt; }
    }
    """
}
