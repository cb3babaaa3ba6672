import Foundation

/// A line chart over rounds, or another count, as inline SVG. The page's style defines the colours and dashes of the series by class.
package struct Plot: Sendable {
  package struct Series: Sendable {
    package let name: String
    /// The number of line styles.
    package static let styles = 12
    /// The style of a reference to the other series, such as a baseline.
    package static let reference = -1

    /// The index of the line style, from 0, of which there are ``styles``; or ``reference``.
    package let style: Int
    /// The points by x; points that are not finite are omitted.
    package let points: [(x: Double, y: Double)]
    /// The same of each seed, if the points are means over several. They are drawn as thin lines, and their range as a
    /// band.
    package let seeds: [[(x: Double, y: Double)]]

    package init(
      _ name: String, style: Int, points: [(x: Double, y: Double)], seeds: [[(x: Double, y: Double)]] = []
    ) {
      func finite(_ points: [(x: Double, y: Double)]) -> [(x: Double, y: Double)] {
        points.filter { $0.x.isFinite && $0.y.isFinite }
      }
      (self.name, self.style) = (name, style)
      (self.points, self.seeds) = (finite(points), seeds.count > 1 ? seeds.map(finite) : [])
    }

    /// All values, also of single seeds.
    fileprivate var values: [Double] { (points + seeds.joined()).map(\.y) }

    /// The least and the greatest value of the seeds at each x that all of them have.
    fileprivate var band: [(x: Double, low: Double, high: Double)] {
      points.compactMap { point in
        let values = seeds.compactMap { $0.first { $0.x == point.x }?.y }
        guard values.count == seeds.count, let low = values.min(), let high = values.max() else { return nil }
        return (point.x, low, high)
      }
    }

    /// The class of its style.
    fileprivate var mark: String {
      style == Self.reference ? "reference" : "s\(style % Self.styles)"
    }
  }

  /// The drawing of a series.
  package enum Line: Sendable {
    case straight
    /// Straight, with a mark at each point, for few points.
    case marked
    /// A step per round, for values that are constant within a round.
    case steps
  }

  package var title: String
  package var unit: FigureUnit
  package var line: Line
  /// Whether the vertical axis starts at 0.
  package var startsAtZero: Bool
  /// The rounds of the whole run, the extent of the horizontal axis.
  package var rounds: Int
  /// The last round of each stage, counted over all stages; the last element is the end of the run.
  package var stageEnds: [Int]
  package var series: [Series]
  /// Whether the last value of each series is written next to the title or the name.
  package var showsLast = false
  /// What the horizontal axis counts, and its first value; ``rounds`` values follow each other.
  package var (counted, first) = ("round", 1)
  /// The least range of the vertical axis, so that noise does not fill the chart; 0 for that of the values.
  package var leastRange = 0.0
  /// Whether the vertical axis has powers of ten. Values that are not greater than 0 are omitted then.
  package var isLogarithmic = false
  /// Values that the vertical axis also covers, so that plots of the same figure can be compared.
  package var covered: [Double] = []

  package init(
    _ title: String, unit: FigureUnit, line: Line, startsAtZero: Bool, rounds: Int, stageEnds: [Int],
    series: [Series]
  ) {
    (self.title, self.unit, self.line, self.startsAtZero) = (title, unit, line, startsAtZero)
    (self.rounds, self.stageEnds, self.series) = (rounds, stageEnds, series)
  }

  // On a phone the chart is nearly at full size, so that its text can be read.
  private static let width = 420.0
  private static let frame = (left: 50.0, right: 410.0, top: 56.0, bottom: 240.0)
  private static let legendLine = 20.0
  /// The most points of a straight line that are marked.
  private static let fewPoints = 12

  /// The chart as one `<svg>` element.
  package var svg: String {
    let values = Self.widened(
      series.flatMap(\.values) + covered.filter(\.isFinite), to: leastRange, startsAtZero: startsAtZero)
    // Powers of ten need no prefix.
    let scale =
      isLogarithmic
      ? FigureUnit.Scale(divisor: 1, name: "", digits: 3)
      : unit.scale(for: values.map(abs).max().map { [$0] } ?? [])
    let axis =
      isLogarithmic
      ? PlotAxis(exponentsCovering: values)
      : PlotAxis(covering: values.map { $0 / scale.divisor }, count: 5, startsAtZero: startsAtZero)
    let legend = legendEntries(scale)
    let height = Self.frame.bottom + 48 + legend.height
    let label = Markup.escape("\(title) by \(counted): \(series.map(\.name).joined(separator: ", "))")
    let heading = scale.name.isEmpty ? title : "\(title), \(scale.name)"
    var body = [
      "<svg class=\"plot\" viewBox=\"0 0 \(Self.number(Self.width)) \(Self.number(height))\" role=\"img\" "
        + "aria-label=\"\(label)\">",
      Self.text(heading, 4, 16, "title", beside: series.count == 1 ? last(of: series[0], scale) : nil),
    ]
    body += grid(axis) + stages()
    // Lines are drawn above all bands.
    body += series.map { band(of: $0, axis, scale) } + series.map { path(of: $0, axis, scale) }
    return (body + legend.markup + ["</svg>"]).joined(separator: "\n")
  }

  // MARK: - Coordinates

  private func x(_ round: Double) -> Double {
    let share = min(max((round - Double(first) + 0.5) / Double(max(rounds, 1)), 0), 1)
    return Self.frame.left + share * (Self.frame.right - Self.frame.left)
  }

  private func y(_ value: Double, _ axis: PlotAxis) -> Double {
    Self.frame.bottom - axis.share(of: value) * (Self.frame.bottom - Self.frame.top)
  }

  // MARK: - Parts

  private func grid(_ axis: PlotAxis) -> [String] {
    var markup: [String] = []
    for tick in axis.ticks {
      let place = y(tick, axis)
      markup.append(Self.line(Self.frame.left, place, Self.frame.right, place, "grid"))
      let label = isLogarithmic ? PlotAxis.power(tick) : axis.label(tick)
      markup.append(Self.text(label, Self.frame.left - 6, place + 4, "tick end"))
    }
    let bottom = Self.frame.bottom
    markup.append(Self.line(Self.frame.left, bottom, Self.frame.right, bottom, "axis"))
    for round in PlotAxis.rounds(first + rounds - 1) + (first == 0 ? [0] : []) {
      let place = x(Double(round))
      markup.append(Self.line(place, bottom, place, bottom + 4, "axis"))
      markup.append(Self.text("\(round)", place, bottom + 17, "tick middle"))
    }
    markup.append(Self.text(counted, Self.frame.right, bottom + 34, "tick end"))
    return markup
  }

  /// Returns a thin line at the end of each stage, with the stages' numbers above.
  private func stages() -> [String] {
    guard stageEnds.count > 1 else { return [] }
    var markup: [String] = []
    var start = 0
    for (index, end) in stageEnds.enumerated() {
      let (from, to) = (x(Double(start) + 0.5), x(Double(end) + 0.5))
      if end < rounds { markup.append(Self.line(to, Self.frame.top - 14, to, Self.frame.bottom, "border")) }
      let label = to - from > 54 ? "stage \(index + 1)" : to - from > 14 ? "\(index + 1)" : ""
      if !label.isEmpty {
        markup.append(Self.text(label, (from + to) / 2, Self.frame.top - 6, "tick middle"))
      }
      start = end
    }
    return markup
  }

  /// Returns values that cover at least a range around the middle of the given ones. A share stays within 0 … 1.
  private static func widened(_ values: [Double], to range: Double, startsAtZero: Bool) -> [Double] {
    guard let low = values.min(), let high = values.max(), high - low < range, !startsAtZero else {
      return values
    }
    let middle = (low + high) / 2
    // The values of shares and losses are not negative, and the axis need not be either.
    let start = low >= 0 ? max(0, middle - range / 2) : middle - range / 2
    return values + [start, start + range]
  }

  /// Returns the range of the seeds and a thin line for each; empty for a series without seeds.
  private func band(of series: Series, _ axis: PlotAxis, _ scale: FigureUnit.Scale) -> String {
    guard !series.seeds.isEmpty else { return "" }
    func place(_ point: (x: Double, y: Double)) -> String {
      let height = y(isLogarithmic ? log10(point.y) : point.y / scale.divisor, axis)
      return "\(Self.number(x(point.x))),\(Self.number(height))"
    }
    let band = series.band.filter { !isLogarithmic || $0.low > 0 }
    let outline = band.map { place(($0.x, $0.high)) } + band.reversed().map { place(($0.x, $0.low)) }
    var markup = "<g class=\"\(series.mark) band\">"
    if band.count > 1 { markup += "<polygon points=\"\(outline.joined(separator: " "))\"/>" }
    for seed in series.seeds {
      let points = seed.filter { !isLogarithmic || $0.y > 0 }
      markup += "<polyline points=\"\(points.map(place).joined(separator: " "))\"/>"
      guard line == .marked else { continue }
      for point in points {
        let centre = place(point).split(separator: ",")
        markup += "<circle cx=\"\(centre[0])\" cy=\"\(centre[1])\" r=\"1.5\"/>"
      }
    }
    return markup + "</g>"
  }

  private func path(of series: Series, _ axis: PlotAxis, _ scale: FigureUnit.Scale) -> String {
    let shown = series.points.filter { !isLogarithmic || $0.y > 0 }
    let places = shown.flatMap { point -> [(Double, Double)] in
      let place = y(isLogarithmic ? log10(point.y) : point.y / scale.divisor, axis)
      return line == .steps
        ? [(x(point.x - 0.5), place), (x(point.x + 0.5), place)] : [(x(point.x), place)]
    }
    let points = places.map { "\(Self.number($0.0)),\(Self.number($0.1))" }.joined(separator: " ")
    var markup = "<g class=\"\(series.mark)\"><title>\(Markup.escape(series.name))</title>"
    markup += "<polyline points=\"\(points)\"/>"
    // A single point has no line and needs a mark to be visible, and few points are not a curve.
    if line == .marked || line == .straight && series.points.count <= Self.fewPoints
      || series.points.count == 1
    {
      for (point, place) in zip(shown, places) {
        let number =
          isLogarithmic ? String(format: "%.3g", point.y) : "\(scale.text(point.y))\u{A0}\(scale.name)"
        let value = Markup.escape(
          "\(series.name), \(counted) \(Numeral.fixed(point.x, digits: 0)): \(number)")
        markup += "<circle cx=\"\(Self.number(place.0))\" cy=\"\(Self.number(place.1))\" r=\"3\">"
        markup += "<title>\(value)</title></circle>"
      }
    }
    return markup + "</g>"
  }

  private func last(of series: Series, _ scale: FigureUnit.Scale) -> String? {
    showsLast ? series.points.last.map { scale.text($0.y) } : nil
  }

  /// Returns the legend, in as many rows as necessary; empty for a single series, which the title describes.
  private func legendEntries(_ scale: FigureUnit.Scale) -> (markup: [String], height: Double) {
    guard series.count > 1 else { return ([], 0) }
    var markup: [String] = []
    var (left, row) = (4.0, 0.0)
    for series in series {
      let last = last(of: series, scale)
      // A character of the page's font at 12 pixels is up to 6.6 pixels wide.
      let width = 25 + 6.6 * Double(series.name.count + (last.map { $0.count + 2 } ?? 0)) + 10
      if left + width > Self.width, left > 4 { (left, row) = (4, row + 1) }
      let place = Self.frame.bottom + 56 + row * Self.legendLine
      markup.append(
        "<g class=\"\(series.mark)\"><polyline points=\"\(Self.number(left)),\(Self.number(place - 4)) "
          + "\(Self.number(left + 20)),\(Self.number(place - 4))\"/></g>")
      markup.append(Self.text(series.name, left + 25, place, "name", beside: last))
      left += width
    }
    return (markup, (row + 1) * Self.legendLine)
  }

  // MARK: - Elements

  static func line(
    _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ style: String
  ) -> String {
    "<line class=\"\(style)\" x1=\"\(number(x1))\" y1=\"\(number(y1))\" x2=\"\(number(x2))\" "
      + "y2=\"\(number(y2))\"/>"
  }

  /// - Parameter beside: text that follows in another weight.
  static func text(
    _ text: String, _ x: Double, _ y: Double, _ style: String, beside: String? = nil
  ) -> String {
    let more = beside.map { "\u{A0} <tspan class=\"last\">\(Markup.escape($0))</tspan>" } ?? ""
    return
      "<text class=\"\(style)\" x=\"\(number(x))\" y=\"\(number(y))\">\(Markup.escape(text))\(more)</text>"
  }

  static func number(_ value: Double) -> String { String(format: "%.1f", value) }
}
