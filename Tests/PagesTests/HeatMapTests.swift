import PageChecks
import Pages
import Testing

@Suite struct HeatMapTests {
  @Test func cellsHaveNumbersAndShades() throws {
    let map = HeatMap(
      [[2, 1.5, nil], [1.5, 1, .nan], [nil, .infinity, 0]], names: ["input", "layer <1>", "layer 2"],
      title: "Bits & pairs")
    let found = try MarkupCheck.parse(map.html)
    let cells = found.elements.filter { $0.name == "td" }.dropFirst()
    #expect(
      cells.map { $0.attributes["class"] ?? "" } == ["m10", "m8", "m0", "m8", "m5", "m0", "m0", "m0", "m0"])
    #expect(cells.first?.attributes["title"] == "input, input: 2.0000")
    #expect(found.count("th") == 6 && found.text.contains("layer <1>") && found.text.contains("Bits & pairs"))
    #expect(found.text.contains("1.50") && found.text.contains("–"))
  }

  @Test func mapsSideBySideHaveTheSameShades() throws {
    let map = HeatMap([[2]], names: ["a"], title: "", largest: 4)
    let cell = try #require(try MarkupCheck.parse(map.html).elements.last { $0.name == "td" })
    #expect(cell.attributes["class"] == "m5")
    let above = HeatMap([[9, -1], [0, 0]], names: ["a", "b"], title: "", largest: 4)
    let cells = try MarkupCheck.parse(above.html).elements.filter { $0.name == "td" }.dropFirst()
    #expect(cells.map { $0.attributes["class"] ?? "" } == ["m10", "m0", "m0", "m0"])
  }

  @Test func whatCannotBeDrawnIsSaid() throws {
    #expect(
      try MarkupCheck.parse(HeatMap([], names: [], title: "t").html).text.contains("There are no rows."))
    let count = HeatMap.mostRows + 1
    let large = HeatMap(
      Array(repeating: Array(repeating: 1, count: count), count: count), names: (0..<count).map { "\($0)" },
      title: "t")
    #expect(try MarkupCheck.parse(large.html).text.contains("61 rows is not drawn"))
  }
}
