import Foundation
import PageChecks
import Pages
import Testing

@Suite struct PlotTests {
  private func plot(
    _ series: [Plot.Series], line: Plot.Line = .straight, unit: FigureUnit = .plain, rounds: Int = 6,
    stageEnds: [Int] = [3, 6]
  ) -> Plot {
    Plot(
      "Loss", unit: unit, line: line, startsAtZero: false, rounds: rounds, stageEnds: stageEnds,
      series: series)
  }

  @Test func everySeriesIsALineWithItsNameInTheLegend() throws {
    let svg = plot([
      Plot.Series("layer-wise", style: 0, points: (1...6).map { (Double($0), 6 - Double($0)) }),
      Plot.Series("end-to-end", style: 2, points: (1...6).map { (Double($0), Double($0)) }),
    ]).svg
    let found = try MarkupCheck.parse(svg)
    #expect(found.elements.first?.name == "svg" && found.elements.first?.attributes["role"] == "img")
    // Each appears once in the chart and once in the legend.
    #expect(found.count("polyline") == 4)
    let styles = found.elements.compactMap { $0.attributes["class"] }.filter { $0.first == "s" }
    #expect(styles == ["s0", "s2", "s0", "s2"])
    #expect(found.elements.count { $0.attributes["class"] == "border" } == 1, "one border between two stages")
    for text in ["Loss", "round", "stage 1", "stage 2", "layer-wise", "end-to-end"] {
      #expect(found.text.contains(text), "\(text)")
    }
    // The lines lie inside the frame.
    for element in found.elements where element.name == "polyline" {
      for point in (element.attributes["points"] ?? "").split(separator: " ") {
        let place = point.split(separator: ",").compactMap { Double($0) }
        #expect(place.count == 2 && (0...420).contains(place[0]) && (0...330).contains(place[1]), "\(point)")
      }
    }
  }

  /// A single series needs no legend, and its last value is shown as text.
  @Test func aSeriesAloneHasItsLastValueBesideTheTitle() throws {
    var plot = plot([Plot.Series("clients", style: 0, points: [(1, 3), (2, 2.5)])])
    #expect(try MarkupCheck.parse(plot.svg).count("tspan") == 0)
    plot.showsLast = true
    let found = try MarkupCheck.parse(plot.svg)
    #expect(found.count("polyline") == 1 && found.text.contains("Loss\u{A0} 2.500"))
    plot.series.append(Plot.Series("calibration", style: 1, points: [(1, 4)]))
    let two = try MarkupCheck.parse(plot.svg)
    #expect(two.count("polyline") == 4 && !two.text.contains("Loss\u{A0}"))
    #expect(two.text.contains("clients\u{A0} 2.500") && two.text.contains("calibration\u{A0} 4.000"))
  }

  /// Powers of ten at whole exponents; values that have no logarithm are omitted.
  @Test func anAxisMayHavePowersOfTen() throws {
    var plot = plot(
      [Plot.Series("depth 2", style: 0, points: [(0, 1), (1, 1e-3), (2, 0), (3, 1e-12)])], line: .marked,
      rounds: 4, stageEnds: [])
    (plot.counted, plot.first, plot.isLogarithmic) = ("sweep", 0, true)
    let found = try MarkupCheck.parse(plot.svg)
    #expect(found.count("circle") == 3)
    for text in ["1e-12", "1e-9", "sweep", "depth 2, sweep 3: 1e-12"] {
      #expect(found.text.contains(text), "\(text): \(found.text)")
    }
    // The ticks of the horizontal axis begin at 0.
    #expect(["0", "1", "2", "3"].allSatisfy { found.text.contains($0) } && !found.text.contains("round"))
    let circles = found.elements.filter { $0.name == "circle" }.map {
      Double($0.attributes["cy"] ?? "") ?? .nan
    }
    #expect(circles[0] == 56 && circles[2] == 240 && abs(circles[1] - (56 + 184 / 4)) < 0.1, "\(circles)")
    for points: [(x: Double, y: Double)] in [
      [], [(0, 0)], [(0, 5)], [(0, 1e-300), (1, 1e300)], [(0, -1), (1, 2)],
    ] {
      plot.series = [Plot.Series("a", style: 0, points: points)]
      _ = try MarkupCheck.parse(plot.svg)
    }
  }

  @Test func awkwardValuesLeaveItWellFormed() throws {
    for points: [(x: Double, y: Double)] in [
      [], [(1, 3)], [(1, .nan), (2, .infinity), (3, 1)], [(1, 5), (2, 5)], [(1, 0), (2, 0)],
      [(1, 1e-12), (2, 2e-12)], [(1, -1e15), (2, 1e15)],
    ] {
      for line in [Plot.Line.straight, .marked, .steps] {
        let svg = plot([Plot.Series("a", style: 0, points: points)], line: line, unit: .bytes).svg
        _ = try MarkupCheck.parse(svg)
        #expect(!svg.contains("nan") && !svg.contains("inf"), "\(points)")
      }
    }
    _ = try MarkupCheck.parse(plot([], rounds: 0, stageEnds: []).svg)
  }

  /// Any numbers from a database are drawn within the frame, with legible labels.
  @Test func anyNumbersAreDrawn() throws {
    let seed = UInt64.random(in: 0..<(1 << 40))
    var numbers = SeededNumbers(seed)
    let extremes: [Double] = [
      0, -0.0, 1, 1e30, -1e30, 3e38, 1e308, -1e308, .greatestFiniteMagnitude, -.greatestFiniteMagnitude,
      .leastNonzeroMagnitude, -.leastNonzeroMagnitude, .leastNormalMagnitude, .nan, .infinity, -.infinity,
      Double(Int.max), Double(Int.min), 1e15, 1e16, 1e-300, 1e-12, 1 + 1e-12,
    ]
    let units: [FigureUnit] = [.bytes, .operations, .seconds, .share, .plain]
    for trial in 0..<4000 {
      let points = (0..<Int.random(in: 1...4, using: &numbers)).map { index -> (x: Double, y: Double) in
        let any = Double(bitPattern: UInt64.random(in: 0...UInt64.max, using: &numbers))
        let x = trial % 7 == 0 ? extremes.randomElement(using: &numbers)! : Double(index + 1)
        return (x, Bool.random(using: &numbers) ? any : extremes.randomElement(using: &numbers)!)
      }
      var plot = plot(
        [Plot.Series("a", style: 0, points: points)], line: [.straight, .marked, .steps][trial % 3],
        unit: units[trial % units.count])
      (plot.startsAtZero, plot.showsLast) = (trial % 2 == 0, true)
      let found = try MarkupCheck.parse(plot.svg)
      for element in found.elements {
        for (name, value) in element.attributes where name != "class" && name != "aria-label" {
          #expect(
            !value.contains("nan") && !value.contains("inf"), "seed \(seed): \(points) \(name) \(value)")
        }
        guard element.name == "polyline" else { continue }
        for point in (element.attributes["points"] ?? "").split(separator: " ") {
          let place = point.split(separator: ",").compactMap { Double($0) }
          #expect(
            place.count == 2 && (49...411).contains(place[0]) && (55...241).contains(place[1]),
            "seed \(seed): \(points) \(point)")
        }
      }
      #expect(plot.svg.utf8.count < 6000, "seed \(seed): \(points)")
    }
  }

  @Test func hugeNumbersAreToldInPowersOfTen() throws {
    let svg = plot([Plot.Series("a", style: 0, points: [(1, 1e30), (2, 1.5e30)])]).svg
    #expect(try MarkupCheck.parse(svg).text.contains("Loss, 10^30"))
    #expect(Numeral.fixed(-1.25e300, digits: 2) == "-1.25e+300" && Numeral.fixed(2.5, digits: 3) == "2.500")
    #expect(Numeral.fixed(.nan, digits: 1) == "nan" && Numeral.fixed(-.infinity, digits: 1) == "-inf")
  }

  @Test func namesAreEscaped() throws {
    let name = "<a href=\"x\">&'</a>"
    let svg = plot([Plot.Series(name, style: 0, points: [(1, 1), (2, 2)])], line: .marked).svg
    let found = try MarkupCheck.parse(svg)
    #expect(found.count("a") == 0 && found.text.contains(name))
  }

  @Test func constantsOfARoundAreAsWideAsIt() throws {
    let svg = plot([Plot.Series("a", style: 0, points: [(1, 1), (2, 3)])], line: .steps, rounds: 2).svg
    let line = try #require(try MarkupCheck.parse(svg).elements.first { $0.name == "polyline" })
    let places = (line.attributes["points"] ?? "").split(separator: " ").compactMap {
      $0.split(separator: ",").first.flatMap { Double($0) }
    }
    #expect(places == [50, 230, 230, 410])
  }

  @Test func axesHaveRoundTicks() {
    #expect(PlotAxis(covering: [0.3, 9.7], count: 5, startsAtZero: true).ticks == [0, 2, 4, 6, 8, 10])
    let axis = PlotAxis(covering: [3.11, 3.58], count: 5, startsAtZero: false)
    #expect(axis.ticks.map(axis.label) == ["3.1", "3.2", "3.3", "3.4", "3.5", "3.6"])
    #expect(abs(axis.share(of: 3.35) - 0.5) < 1e-9)
    #expect(PlotAxis.rounds(5) == [1, 2, 3, 4, 5])
    #expect(PlotAxis.rounds(180) == [1, 50, 100, 150])
    #expect(PlotAxis.rounds(0) == [1])
  }
}

/// Reproducible random numbers (Vigna's SplitMix64).
private struct SeededNumbers: RandomNumberGenerator {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
