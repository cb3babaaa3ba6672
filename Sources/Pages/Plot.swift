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

    package init(_ name: String, style: Int, points: [(x: Double, y: Double)]) {
      (self.name, self.style) = (name, style)
      self.points = points.filter { $0.x.isFinite && $0.y.isFinite }
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

  /// The chart as one `<svg>` element.
  package var svg: String {
    let values = series.flatMap(\.points).map(\.y) + covered.filter(\.isFinite)
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
    for series in series { body.append(path(of: series, axis, scale)) }
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
    // A single point has no line and needs a mark to be visible.
    if line == .marked || series.points.count == 1 {
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

/// An axis with ticks at round numbers, for any finite values.
package struct PlotAxis: Sendable {
  /// The ticks in ascending order; the first and the last are the ends of the axis.
  package var ticks: [Double] {
    multiples.map { min(max(Double($0) * step, -Self.greatest), Self.greatest) }
  }

  /// The distance between ticks, and the ticks as multiples of it, which stay small for huge values.
  private let step: Double
  private let multiples: ClosedRange<Int>

  private static let greatest = Double.greatestFiniteMagnitude
  /// The smallest range; a smaller one counts as empty, because the power of ten of its step would underflow.
  private static let leastRange = 1e-300
  /// The decimal places beyond which a label is written with a power of ten.
  private static let mostDigits = 8

  /// Covers the values with about `count` ticks. Omits values that are not finite.
  package init(covering values: [Double], count: Int, startsAtZero: Bool) {
    let values = values.filter(\.isFinite)
    var low = values.min() ?? 0
    var high = values.max() ?? 1
    if startsAtZero { (low, high) = (min(low, 0), max(high, 0)) }
    let size = max(abs(high), abs(low))
    // Equal values are placed in the middle of a range. The halves avoid overflow of a huge range.
    if high / 2 - low / 2 <= max(size * 1e-9, Self.leastRange) / 2 {
      let margin = max(0.5, size * 1e-6)
      (low, high) =
        startsAtZero
        ? (low, max(high, low + 1)) : (max(low - margin, -Self.greatest), min(high + margin, Self.greatest))
    }
    step = Self.step(high / Double(count) - low / Double(count))
    let (first, last) = (Int((low / step + 1e-9).rounded(.down)), Int((high / step - 1e-9).rounded(.up)))
    multiples = first...max(last, first + 1)
  }

  /// Covers the exponents of powers of ten between values greater than 0, with ticks at whole ones.
  package init(exponentsCovering values: [Double]) {
    let exponents = values.filter { $0 > 0 && $0.isFinite }.map { log10($0) }
    let (low, high) = (exponents.min() ?? 0, exponents.max() ?? 1)
    step = [1, 2, 3, 6, 12, 24, 48, 96, 192].first { $0 >= (high - low) / 5 } ?? 384
    let (first, last) = (Int((low / step + 1e-9).rounded(.down)), Int((high / step - 1e-9).rounded(.up)))
    multiples = first...max(last, first + 1)
  }

  /// Returns the label of a power of ten.
  package static func power(_ exponent: Double) -> String { exponent == 0 ? "1" : "1e\(Int(exponent))" }

  /// Returns the position of a value, 0 … 1.
  package func share(of value: Double) -> Double {
    min(max((value / step - Double(multiples.lowerBound)) / Double(multiples.count - 1), 0), 1)
  }

  package func label(_ tick: Double) -> String {
    let digits = max(0, Int((-log10(step) - 1e-9).rounded(.up)))
    guard digits <= Self.mostDigits else { return String(format: "%.3g", tick == 0 ? 0 : tick) }
    return Numeral.fixed(tick == 0 ? 0 : tick, digits: digits)
  }

  /// Returns the smallest of 1, 2 and 5 times a power of ten that is at least about `rough`.
  private static func step(_ rough: Double) -> Double {
    let power = pow(10, log10(rough).rounded(.down))
    return ([1, 2, 5, 10].first { $0 * power >= rough * 0.999 } ?? 10) * power
  }

  /// Returns the rounds of 1 to `count` to label: about eight whole numbers, including the first.
  package static func rounds(_ count: Int) -> [Int] {
    guard count > 10 else { return Array(1...max(count, 1)) }
    let step = max(1, Int(step(Double(count) / 8)))
    return [1] + stride(from: step, through: count, by: step).filter { $0 > 1 }
  }
}
