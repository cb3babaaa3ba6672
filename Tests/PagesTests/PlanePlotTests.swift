import PageChecks
import Pages
import Testing

@Suite struct PlanePlotTests {
  private func plot(_ paths: [PlanePlot.Path]) -> PlanePlot {
    PlanePlot("nHSIC", horizontal: "input", vertical: "label", paths: paths)
  }

  private func places(_ found: MarkupCheck) -> [(x: Double, y: Double)] {
    found.elements.filter { $0.name == "circle" }.compactMap { circle in
      guard let x = circle.attributes["cx"].flatMap(Double.init),
        let y = circle.attributes["cy"].flatMap(Double.init)
      else { return nil }
      return (x, y)
    }
  }

  @Test func aPathHasItsStartAndItsEnd() throws {
    let found = try MarkupCheck.parse(
      plot([
        PlanePlot.Path(
          "layer 1", mark: "1", style: 0,
          points: [(10, 1, "round 1"), (20, 2, "round 2"), (.nan, 3, "round 3"), (40, 1.5, "round 4")]),
        PlanePlot.Path("layer <2>", mark: "2", style: 1, points: [(30, 2.5, "round 4")]),
        PlanePlot.Path("layer 3", mark: "3", style: 2, points: []),
      ]).svg)
    #expect(found.count("polyline") == 2 && found.count("circle") == 4)
    #expect(found.elements.count { $0.attributes["class"] == "start" } == 1)
    #expect(
      found.elements.filter { $0.name == "circle" }.map { $0.attributes["r"] } == ["4", "1.8", "5", "5"])
    for text in ["nHSIC", "input", "label", "layer 1, round 2: 20, 2", "layer <2>, round 4: 30, 2.5"] {
      #expect(found.text.contains(text), "\(text)")
    }
    let all = places(found)
    // A larger value is further to the right, or higher.
    #expect(all[0].x < all[1].x && all[0].y > all[1].y && all[3].y < all[1].y)
    #expect(all.allSatisfy { (54...404).contains($0.x) && (48...292).contains($0.y) })
    #expect(found.elements.filter { ($0.attributes["class"] ?? "").hasPrefix("mark") }.count == 2)
  }

  @Test func axesCoverOtherPlots() throws {
    let path = PlanePlot.Path("layer 1", mark: "1", style: 0, points: [(1, 1, "round 1"), (2, 2, "round 2")])
    var wide = plot([path])
    (wide.coveredX, wide.coveredY) = ([0, 100, .infinity], [0, 50])
    let (own, covered) = (places(try .parse(plot([path]).svg)), places(try .parse(wide.svg)))
    #expect(own[1].x - own[0].x > 20 * (covered[1].x - covered[0].x))
    #expect(try MarkupCheck.parse(wide.svg).text.contains("100"))
  }

  /// Its classes have rules in the style of pages.
  @Test func itHasAStyle() {
    for rule in [".plane .start", ".plot .mark", ".scatter path"] { #expect(PageStyle.css.contains(rule)) }
  }
}
