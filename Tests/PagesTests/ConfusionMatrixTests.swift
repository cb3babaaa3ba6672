import PageChecks
import Pages
import Testing

@Suite struct ConfusionMatrixTests {
  private func parsed(_ counts: [[Int]], names: [String]? = nil) throws -> MarkupCheck {
    try MarkupCheck.parse(ConfusionMatrixFigure(counts, names: names).html)
  }

  @Test func aSmallMatrixHasItsNumbers() throws {
    let found = try parsed([[99, 1, 0], [9, 25, 66], [0, 0, 0]], names: ["cat", "dog", "fox"])
    let cells = found.elements.filter { $0.name == "td" }.dropFirst()
    #expect(cells.count == 9 && found.count("th") == 6)
    // Up to 1, 4, 9 … 100 % of the row.
    #expect(
      cells.map { $0.attributes["class"] ?? "" } == [
        "m10 own", "m1", "m0", "m3", "m5 own", "m9", "m0", "m0", "m0 own",
      ])
    #expect(cells.first?.attributes["title"] == "true cat, predicted cat: 99 of 100 (99.0\u{A0}%)")
    #expect(cells.last?.attributes["title"] == "true fox, predicted fox: 0 of 0")
    for text in ["Confusion matrix", "cat", "fox", "99", "66"] {
      #expect(found.text.contains(text), "\(text)")
    }
    #expect(found.elements.first?.attributes["class"] == "confusion")
  }

  @Test func aLargeOneHasThemAsTooltips() throws {
    let counts = (0..<100).map { row in (0..<100).map { row == $0 ? 9 : ($0 * row) % 3 } }
    let found = try parsed(counts)
    #expect(found.elements.first?.attributes["class"] == "confusion dense upright")
    let cells = found.elements.filter { $0.name == "td" }.dropFirst()
    #expect(cells.count == 10_000)
    let titles = cells.compactMap { $0.attributes["title"] }
    #expect(titles.count == 10_000 && titles[102].hasPrefix("true 1, predicted 2: 2 of "))
    #expect(found.text.filter(\.isNumber).count < 500, "headings and legend only")
  }

  /// Every shade of a figure has a rule in the style.
  @Test func everyShadeHasAStyle() throws {
    let counts = (0..<21).map { row in (0..<21).map { row == $0 ? 1000 : $0 * row * row } }
    let used = try parsed(counts).elements.compactMap { $0.attributes["class"] }
      .flatMap { $0.split(separator: " ") }.filter { $0.first == "m" }
    #expect(Set(used).count > 5)
    for shade in Set(used) { #expect(PageStyle.css.contains(".confusion .\(shade) {"), "\(shade)") }
  }

  @Test func namesAreEscaped() throws {
    let names = ["<script>\"&'</script>", "a\u{1B}[31m\nb"]
    let found = try parsed([[1, 2], [3, 4]], names: names)
    #expect(found.count("script") == 0 && found.text.contains(names[0]))
    #expect(found.text.contains("a\\u{1B}[31m\\nb"))
    let title = found.elements.filter { $0.name == "td" }.compactMap { $0.attributes["title"] }[1]
    #expect(title == "true \(names[0]), predicted a\\u{1B}[31m\\nb: 2 of 3 (66.7\u{A0}%)")
    let figure = ConfusionMatrixFigure([[1]], title: "<b> & \"c\"")
    #expect(try MarkupCheck.parse(figure.html).text.contains("<b> & \"c\""))
  }

  @Test func whatCannotBeDrawnIsSaid() throws {
    #expect(try parsed([]).text.contains("There are no classes."))
    let count = ConfusionMatrixFigure.mostClasses + 1
    let found = try parsed([[Int]](repeating: [Int](repeating: 1, count: count), count: count))
    #expect(found.count("table") == 0 && found.text.contains("201 classes is not drawn; at most 200 are"))
    // Counts near the limits of numbers do not trap.
    let greatest = Int.max
    _ = try parsed([[greatest, greatest], [greatest, 0]])
  }
}
