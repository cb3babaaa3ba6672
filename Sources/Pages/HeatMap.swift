import Foundation
import Support

/// A square matrix of numbers that are not negative as an HTML figure: a number in each cell, and a shade by its share of
/// the largest one. It has the style of ``ConfusionMatrixFigure``.
package struct HeatMap: Sendable {
  /// The most rows of a map that is drawn.
  package static let mostRows = 60
  private static let levels = 10

  private let values: [[Double?]]
  private let names: [String]
  private let title: String
  private let digits: Int
  /// A value that has the darkest shade, so that maps side by side can be compared.
  private let largest: Double

  /// - Parameters:
  ///   - values: [R, R]; nil, or a number that is not finite, is an empty cell.
  ///   - largest: the value of the darkest shade; by default the largest one.
  package init(
    _ values: [[Double?]], names: [String], title: String, digits: Int = 2, largest: Double? = nil
  ) {
    precondition(
      values.count == names.count && values.allSatisfy { $0.count == names.count },
      "\(names.count) names of \(values.count) rows")
    self.values = values.map { $0.map { value in value.flatMap { $0.isFinite ? $0 : nil } } }
    self.names = names.map { Markup.escape(ForeignText($0, limit: 40).description) }
    (self.title, self.digits) = (Markup.escape(title), digits)
    self.largest = largest ?? self.values.joined().compactMap(\.self).max() ?? 0
  }

  /// The figure as one `<figure>` element, which is also well-formed XML.
  package var html: String {
    guard !values.isEmpty, values.count <= Self.mostRows else {
      let reason =
        values.isEmpty
        ? "There are no rows."
        : "The matrix of \(values.count) rows is not drawn; at most \(Self.mostRows) are."
      return "<figure class=\"confusion\">\n<figcaption>\(title)</figcaption>\n<p>\(reason)</p>\n</figure>"
    }
    let columns = names.map { "<th scope=\"col\"><span>\($0)</span></th>" }.joined()
    let rows = values.indices.map { row in
      let cells = values[row].indices.map { cell(row, $0) }.joined()
      return "<tr><th scope=\"row\">\(names[row])</th>\(cells)</tr>"
    }
    return """
      <figure class="confusion upright">
      <figcaption>\(title)</figcaption>
      <div class="scroll" tabindex="0" role="region" aria-label="\(title)">
      <table>
      <thead><tr><td></td>\(columns)</tr></thead>
      <tbody>
      \(rows.joined(separator: "\n"))
      </tbody>
      </table>
      </div>
      </figure>
      """
  }

  private func cell(_ row: Int, _ column: Int) -> String {
    guard let value = values[row][column] else { return "<td class=\"m0\">–</td>" }
    let share = largest > 0 ? min(max(value / largest, 0), 1) : 0
    let level = Int((share * Double(Self.levels)).rounded())
    let number = Numeral.fixed(value, digits: digits)
    return
      "<td class=\"m\(level)\" title=\"\(names[row]), \(names[column]): \(Numeral.fixed(value, digits: 4))\">\(number)</td>"
  }
}
