import Foundation

/// Values of several groups, such as one for each seed, as dots on one axis, with their mean and its 95 % confidence
/// interval, as inline SVG. The name of a group is above its dots, so that it is complete at every width.
package struct SeedPlot: Sendable {
  package struct Group: Sendable {
    package let name: String
    /// The index of the colour, as a series' of a ``Plot``.
    package let style: Int
    package let values: [Double]
    /// Half of the confidence interval of the mean; nil for none.
    package let margin: Double?

    package init(_ name: String, style: Int, values: [Double], margin: Double?) {
      (self.name, self.style, self.margin) = (name, style, margin)
      self.values = values.filter(\.isFinite)
    }
  }

  /// A value to compare the groups with, drawn as a line over all of them.
  package struct Reference: Sendable {
    package let name: String
    package let value: Double

    package init(_ name: String, _ value: Double) { (self.name, self.value) = (name, value) }
  }

  package let title: String
  package let unit: FigureUnit
  package let groups: [Group]
  package let references: [Reference]
  /// The least range of the axis, so that noise does not fill the chart.
  package let leastRange: Double

  package init(
    _ title: String, unit: FigureUnit, groups: [Group], references: [Reference] = [], leastRange: Double = 0
  ) {
    (self.title, self.unit, self.leastRange) = (title, unit, leastRange)
    self.groups = groups.filter { !$0.values.isEmpty }
    self.references = references.filter(\.value.isFinite)
  }

  private static let width = 420.0
  private static let (left, right, top) = (10.0, 410.0, 34.0)
  /// The height of a group's dots, and of a line of its name.
  private static let (dotsHeight, lineHeight) = (22.0, 16.0)
  /// The most characters of a line of a name.
  private static let mostCharacters = 58

  /// The chart as one `<svg>` element.
  package var svg: String {
    let values = groups.flatMap { group in
      let mean = group.values.reduce(0, +) / Double(group.values.count)
      return group.values + (group.margin.map { [mean - $0, mean + $0] } ?? [])
    }
    let scale = unit.scale(for: values.map(abs).max().map { [$0] } ?? [])
    let all = (values + references.map(\.value)).map { $0 / scale.divisor }
    let (low, high) = (all.min() ?? 0, all.max() ?? 1)
    let missing = max(0, leastRange / scale.divisor - (high - low)) / 2
    let axis = PlotAxis(
      covering: all + [low - missing, high + missing], count: 6, startsAtZero: false)
    func x(_ value: Double) -> Double {
      Self.left + axis.share(of: value / scale.divisor) * (Self.right - Self.left)
    }
    let names = groups.map { Self.lines(of: $0.name) }
    var tops = [Self.top]
    for name in names {
      tops.append(tops[tops.count - 1] + Self.dotsHeight + Self.lineHeight * Double(name.count))
    }
    let bottom = tops[tops.count - 1]
    let height = bottom + 24 + 18 * Double(references.count)
    let heading = scale.name.isEmpty ? title : "\(title), \(scale.name)"
    let label = Markup.escape("\(title): \(groups.map(\.name).joined(separator: "; "))")
    var body = [
      "<svg class=\"plot\" viewBox=\"0 0 \(number(Self.width)) \(number(height))\" role=\"img\" aria-label=\"\(label)\">",
      "<text class=\"title\" x=\"4\" y=\"16\">\(Markup.escape(heading))</text>",
    ]
    for tick in axis.ticks {
      let place = number(Self.left + axis.share(of: tick) * (Self.right - Self.left))
      body.append(
        "<line class=\"grid\" x1=\"\(place)\" y1=\"\(number(Self.top))\" x2=\"\(place)\" y2=\"\(number(bottom))\"/>"
      )
      let anchor = tick == axis.ticks.first ? "start" : tick == axis.ticks.last ? "end" : "middle"
      body.append(
        "<text class=\"tick \(anchor)\" x=\"\(place)\" y=\"\(number(bottom + 16))\">\(axis.label(tick))</text>"
      )
    }
    for (index, reference) in references.enumerated() {
      let place = number(x(reference.value))
      let y = number(bottom + 36 + 18 * Double(index))
      body.append(
        "<g class=\"reference\"><polyline points=\"\(place),\(number(Self.top)) \(place),\(number(bottom))\"/></g>"
      )
      body.append(
        "<text class=\"last\" x=\"4\" y=\"\(y)\">Dashed: \(Markup.escape(reference.name)), \(scale.text(reference.value))</text>"
      )
    }
    for (index, group) in groups.enumerated() {
      body.append(row(group, names[index], at: tops[index], scale, x))
    }
    return (body + ["</svg>"]).joined(separator: "\n")
  }

  private func row(
    _ group: Group, _ name: [String], at start: Double, _ scale: FigureUnit.Scale, _ x: (Double) -> Double
  ) -> String {
    let mean = group.values.reduce(0, +) / Double(group.values.count)
    let top = start + Self.lineHeight * Double(name.count - 1)
    let middle = number(top + 26)
    var markup = "<g class=\"s\(group.style % Plot.Series.styles)\">"
    if let margin = group.margin {
      let (low, high) = (number(x(mean - margin)), number(x(mean + margin)))
      markup += "<line x1=\"\(low)\" y1=\"\(middle)\" x2=\"\(high)\" y2=\"\(middle)\" stroke-width=\"1.5\"/>"
      for end in [low, high] {
        markup += "<line x1=\"\(end)\" y1=\"\(number(top + 22))\" x2=\"\(end)\" y2=\"\(number(top + 30))\"/>"
      }
    }
    if group.values.count > 1 {
      let place = number(x(mean))
      markup +=
        "<line x1=\"\(place)\" y1=\"\(number(top + 18))\" x2=\"\(place)\" y2=\"\(number(top + 34))\" stroke-width=\"3\"/>"
    }
    for value in group.values {
      let words = Markup.escape("\(group.name): \(scale.text(value))\u{A0}\(scale.name)")
      markup +=
        "<circle cx=\"\(number(x(value)))\" cy=\"\(middle)\" r=\"3.5\"><title>\(words)</title></circle>"
    }
    markup += "</g>"
    // Text has the page's colour.
    for (index, line) in name.enumerated() {
      let last = index + 1 == name.count ? " <tspan class=\"last\">\(scale.text(mean))</tspan>" : ""
      let y = start + 12 + Self.lineHeight * Double(index)
      markup +=
        "\n<text class=\"halo\" x=\"\(number(Self.left))\" y=\"\(number(y))\">\(Markup.escape(line))\(last)</text>"
    }
    return markup
  }

  /// Returns a name broken into lines at its spaces.
  private static func lines(of name: String) -> [String] {
    name.split(separator: " ").reduce(into: [""]) { lines, word in
      let line = lines[lines.count - 1]
      if line.isEmpty {
        lines[lines.count - 1] = String(word)
      } else if line.count + 1 + word.count <= mostCharacters {
        lines[lines.count - 1] += " \(word)"
      } else {
        lines.append(String(word))
      }
    }
  }

  private func number(_ value: Double) -> String { String(format: "%.1f", value) }
}
