import PageChecks
import Pages
import Testing

@Suite struct ScatterPlotTests {
  private func plot(_ count: Int, classes: Int?, names: [String]? = nil) -> ScatterPlot {
    ScatterPlot(
      "Representations", horizontal: "component 1", vertical: "component 2",
      points: (0..<count).map { (Double($0 % 7), Double($0 % 5) - 2) },
      classes: classes.map { classes in (0..<count).map { $0 % classes } }, names: names)
  }

  private func marks(_ found: MarkupCheck) -> [(style: String, path: String)] {
    found.elements.filter { $0.name == "path" }.map {
      ($0.attributes["class"] ?? "", $0.attributes["d"] ?? "")
    }
  }

  /// Classes differ by colour and by the form of their marks.
  @Test func everyClassHasItsMark() throws {
    let found = try MarkupCheck.parse(plot(80, classes: 40, names: ["cat <1>"]).svg)
    // Once in the chart and once in the legend.
    #expect(marks(found).count == 80)
    let forms = marks(found).suffix(40).map { mark in
      // Without the place.
      mark.style + String(mark.path.drop { $0 != "a" && $0 != "h" && $0 != "l" })
    }
    #expect(Set(forms).count == 40)
    #expect(found.text.contains("cat <1>") && found.text.contains("39"))
  }

  @Test func withoutClassesThereIsNoLegend() throws {
    let found = try MarkupCheck.parse(plot(30, classes: nil).svg)
    #expect(marks(found).count == 1 && marks(found)[0].path.count { $0 == "M" } == 30)
    #expect(try marks(MarkupCheck.parse(plot(0, classes: nil).svg)).isEmpty)
  }

  @Test func tooManyClassesAreNotNamed() throws {
    let found = try MarkupCheck.parse(plot(90, classes: 45).svg)
    #expect(marks(found).count == 45 && found.text.contains("45 classes; several have the same mark"))
  }

  /// The points fill the frame, with a scale for each axis.
  @Test func everyAxisHasItsScale() throws {
    let plot = ScatterPlot(
      components: [[-100, 0], [100, 0], [0, 1]], explained: [0.75, 0.125], title: "Representations",
      classes: nil, names: nil)
    let found = try MarkupCheck.parse(plot.svg)
    for text in ["component 1, 75.0 % of the variance", "component 2, 12.5 % of the variance"] {
      #expect(found.text.contains(text), "\(text)")
    }
    let places = marks(found)[0].path.split(separator: "M").compactMap { part -> [Double]? in
      part.split(separator: "a").first.map { $0.split(separator: ",").compactMap { Double($0) } }
    }
    try #require(places.count == 3 && places.allSatisfy { $0.count == 2 })
    #expect(places.allSatisfy { (16...404).contains($0[0]) && (30...370).contains($0[1]) })
    #expect(places[1][0] - places[0][0] > 360 && places[0][1] - places[2][1] > 300)
    #expect(places[0][1] == places[1][1] && abs(2 * places[2][0] - places[0][0] - places[1][0]) < 0.2)
    let huge = ScatterPlot(
      components: [[-3e38, 3e38], [3e38, -3e38]], explained: [1, 0], title: "", classes: nil, names: nil)
    #expect(!huge.svg.contains("nan") && !huge.svg.contains("inf"))
  }
}
