import Foundation

/// Paths of points in a plane, such as the layers of an encoder in an information plane over the rounds of a training, as
/// inline SVG. The first point of a path is an open circle, the last a filled one with the path's name.
package struct PlanePlot: Sendable {
  package struct Path: Sendable {
    package let name: String
    /// The text at the end of the path, of a few characters.
    package let mark: String
    /// The index of the line style, from 0 (``Plot/Series/styles``).
    package let style: Int
    /// The points in order, with what each is of; points that are not finite are omitted.
    package let points: [(x: Double, y: Double, of: String)]

    package init(_ name: String, mark: String, style: Int, points: [(x: Double, y: Double, of: String)]) {
      (self.name, self.mark, self.style) = (name, mark, style)
      self.points = points.filter { $0.x.isFinite && $0.y.isFinite }
    }
  }

  package var title: String
  /// What the axes show.
  package var horizontal, vertical: String
  package var paths: [Path]
  /// Values that the axes also cover, so that plots side by side have the same axes.
  package var coveredX: [Double] = []
  package var coveredY: [Double] = []

  package init(_ title: String, horizontal: String, vertical: String, paths: [Path]) {
    (self.title, self.horizontal, self.vertical, self.paths) = (title, horizontal, vertical, paths)
  }

  private static let size = (width: 420.0, height: 340.0)
  private static let frame = (left: 54.0, right: 396.0, top: 48.0, bottom: 292.0)

  /// The chart as one `<svg>` element.
  package var svg: String {
    let points = paths.flatMap(\.points)
    let (x, y) = (
      PlotAxis(covering: points.map(\.x) + coveredX, count: 5, startsAtZero: false),
      PlotAxis(covering: points.map(\.y) + coveredY, count: 5, startsAtZero: false)
    )
    let names = paths.map(\.name).joined(separator: ", ")
    let label = Markup.escape("\(title): \(vertical) by \(horizontal): \(names)")
    return
      ([
        "<svg class=\"plot plane\" viewBox=\"0 0 \(Plot.number(Self.size.width)) "
          + "\(Plot.number(Self.size.height))\" role=\"img\" aria-label=\"\(label)\">",
        Plot.text(title, 4, 16, "title"), Plot.text(vertical, 4, 36, "tick"),
      ]
      + Self.grid(x, y, horizontal) + paths.map { path($0, x, y) } + paths.map { mark($0, x, y) } + ["</svg>"])
      .joined(separator: "\n")
  }

  private static func place(_ x: Double, _ axis: PlotAxis) -> Double {
    frame.left + axis.share(of: x) * (frame.right - frame.left)
  }

  private static func height(_ y: Double, _ axis: PlotAxis) -> Double {
    frame.bottom - axis.share(of: y) * (frame.bottom - frame.top)
  }

  /// Returns lines and labels at the ticks of both axes.
  private static func grid(_ x: PlotAxis, _ y: PlotAxis, _ horizontal: String) -> [String] {
    var markup: [String] = []
    for tick in y.ticks {
      let place = height(tick, y)
      markup.append(Plot.line(frame.left, place, frame.right, place, "grid"))
      markup.append(Plot.text(y.label(tick), frame.left - 6, place + 4, "tick end"))
    }
    for tick in x.ticks {
      let place = place(tick, x)
      markup.append(Plot.line(place, frame.top, place, frame.bottom, "grid"))
      markup.append(Plot.text(x.label(tick), place, frame.bottom + 17, "tick middle"))
    }
    markup.append(Plot.line(frame.left, frame.bottom, frame.right, frame.bottom, "axis"))
    markup.append(Plot.line(frame.left, frame.top, frame.left, frame.bottom, "axis"))
    markup.append(Plot.text(horizontal, frame.right, frame.bottom + 36, "tick end"))
    return markup
  }

  private func path(_ path: Path, _ x: PlotAxis, _ y: PlotAxis) -> String {
    guard !path.points.isEmpty else { return "" }
    let places = path.points.map { (Self.place($0.x, x), Self.height($0.y, y)) }
    let line = places.map { "\(Plot.number($0.0)),\(Plot.number($0.1))" }.joined(separator: " ")
    var markup = "<g class=\"s\(path.style % Plot.Series.styles)\"><title>\(Markup.escape(path.name))</title>"
    markup += "<polyline points=\"\(line)\"/>"
    for (index, (point, place)) in zip(path.points, places).enumerated() {
      let isLast = index + 1 == places.count
      let style = index == 0 && !isLast ? " class=\"start\"" : ""
      let radius = isLast ? "5" : index == 0 ? "4" : "1.8"
      let words = "\(path.name), \(point.of): \(String(format: "%.4g, %.4g", point.x, point.y))"
      markup +=
        "<circle\(style) cx=\"\(Plot.number(place.0))\" cy=\"\(Plot.number(place.1))\" r=\"\(radius)\">"
      markup += "<title>\(Markup.escape(words))</title></circle>"
    }
    return markup + "</g>"
  }

  /// Returns the name at the end of a path; above all lines, so that it can be read.
  private func mark(_ path: Path, _ x: PlotAxis, _ y: PlotAxis) -> String {
    guard let last = path.points.last else { return "" }
    let (left, top) = (Self.place(last.x, x), Self.height(last.y, y))
    // To the left where there is no room on the right.
    let isLeft = left > Self.frame.right - 24
    return Plot.text(path.mark, isLeft ? left - 8 : left + 8, top - 6, isLeft ? "mark end" : "mark")
  }
}

extension PlanePlot {
  /// The style, a part of ``PageStyle/css``.
  static let css = """
    .plane .start { fill: var(--page); stroke: inherit; stroke-width: 2; }
    .plane polyline { stroke-width: 1.5; }
    .plot .mark { font-weight: 600; paint-order: stroke; stroke: var(--page); stroke-width: 3; }
    """
}
