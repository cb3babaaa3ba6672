import PageChecks
import Pages
import Testing

@Suite struct LayerFiguresTests {
  private func training(_ name: String, scale: Double = 1, layers: Int = 11) -> LayerFigures.Training {
    LayerFigures.Training(
      name,
      rounds: (1...3).map { round in
        // A layer more in each round, as layer-wise training has them.
        let values = (0..<min(layers, round * 4)).map { layer in
          ("blocks.\(layer)", ["x": scale * Double(round + layer), "y": scale * Double(layer)])
        }
        return LayerFigures.Round(
          round, layers: Dictionary(uniqueKeysWithValues: values + [("input~blocks.0", ["pair": 1.0])]))
      }, matrix: (["input", "blocks.0"], [[4 * scale, 1], [1, 2 * scale]]))
  }

  private func figures(_ trainings: [LayerFigures.Training]) -> LayerFigures {
    LayerFigures(
      trainings,
      planes: [
        LayerFigures.Plane("plane", x: ("x", "input"), y: ("y", "label")),
        LayerFigures.Plane("empty", x: ("w", "nothing"), y: ("z", "nothing")),
      ], matrixTitle: "bits")
  }

  @Test func everyTrainingHasItsFigures() throws {
    let figures = figures([training("one <1>"), training("two", scale: 2)])
    let planes = try figures.planeFigures.map { try MarkupCheck.parse($0) }
    #expect(planes.count == 2 && planes.allSatisfy { $0.count("polyline") == 11 })
    #expect(planes[0].text.contains("plane: one <1>") && planes[0].text.contains("layer 11, round 3: 13, 10"))
    // The axes are the same.
    let ticks = planes.map { plane in
      plane.elements.filter { $0.attributes["class"] == "grid" }.map { $0.attributes["y1"] ?? "" }
    }
    #expect(ticks[0] == ticks[1])
    let curves = try figures.curveFigures.map { try MarkupCheck.parse($0) }
    #expect(curves.count == 4)
    #expect(curves.contains { $0.text.contains("label: two") } && curves[0].text.contains("layer 10"))
    let maps = try figures.matrixFigures.map { try MarkupCheck.parse($0) }
    #expect(maps.count == 2 && maps[0].text.contains("layer 1"))
    let shades = maps.map { map in
      map.elements.filter { $0.name == "td" }.dropFirst().map { $0.attributes["class"] ?? "" }
    }
    #expect(shades == [["m5", "m1", "m1", "m3"], ["m10", "m1", "m1", "m5"]])
  }

  @Test func withoutAnalysesThereAreNone() {
    let figures = figures([LayerFigures.Training("", rounds: [], matrix: nil)])
    #expect(figures.planeFigures.isEmpty && figures.curveFigures.isEmpty && figures.matrixFigures.isEmpty)
  }

  @Test func namesOfLayers() {
    let names = ["blocks.0", "blocks.11", "stem", "input", "blocks.x", "blocks.\(Int.max)"]
    #expect(
      names.map(LayerFigures.title) == [
        "layer 1", "layer 12", "stem", "input", "blocks.x", "blocks.\(Int.max)",
      ])
  }
}
