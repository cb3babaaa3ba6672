import Foundation
import Support

/// Points in a plane by class, as inline SVG. Classes differ in colour and in the form of their marks.
package struct ScatterPlot: Sendable {
  package var title: String
  /// What the axes show.
  package var horizontal, vertical: String
  /// Finite points.
  package var points: [(x: Double, y: Double)]
  /// The class of each point; nil for points of no class.
  package var classes: [Int]?
  /// The names of the classes in order; a class without one has its number.
  package var names: [String]?

  package init(
    _ title: String, horizontal: String, vertical: String, points: [(x: Double, y: Double)],
    classes: [Int]? = nil,
    names: [String]? = nil
  ) {
    precondition(classes.map { $0.count == points.count } ?? true, "classes of \(points.count) points")
    (self.title, self.horizontal, self.vertical) = (title, horizontal, vertical)
    (self.points, self.classes, self.names) = (points, classes, names)
  }

  /// The points of samples by their two principal components, with the shares of the variance that these explain, 0 … 1.
  package init(
    components points: [SIMD2<Float>], explained: [Double], title: String, classes: [Int]?, names: [String]?
  ) {
    func axis(_ index: Int) -> String {
      "component \(index + 1), \(Numeral.fixed(100 * explained[index], digits: 1)) % of the variance"
    }
    self.init(
      title, horizontal: axis(0), vertical: axis(1), points: points.map { (Double($0.x), Double($0.y)) },
      classes: classes, names: names)
  }

  private static let colours = 6
  /// The classes of a legend at most: more have the same combinations of colour and form.
  private static let mostNamed = 42
  private static let size = (width: 420.0, height: 400.0)
  private static let frame = (left: 16.0, right: 404.0, top: 30.0, bottom: 370.0)

  /// The chart as one `<svg>` element.
  package var svg: String {
    let groups = groups
    let legend = legend(of: groups.map(\.label))
    let height = Self.size.height + legend.height
    let what = Markup.escape("\(title): \(points.count) points by \(horizontal) and \(vertical)")
    var body = [
      "<svg class=\"plot scatter\" viewBox=\"0 0 \(Plot.number(Self.size.width)) \(Plot.number(height))\" "
        + "role=\"img\" aria-label=\"\(what)\">",
      Plot.text(title, 4, 16, "title"),
      Plot.line(Self.frame.left, Self.frame.bottom, Self.frame.right, Self.frame.bottom, "axis"),
      Plot.line(Self.frame.left, Self.frame.top, Self.frame.left, Self.frame.bottom, "axis"),
      Plot.text(horizontal, Self.frame.right, Self.frame.bottom + 17, "tick end"),
      Plot.text(vertical, Self.frame.left + 6, Self.frame.top + 10, "tick"),
    ]
    let place = places
    for group in groups {
      let path = group.points.map { Self.form(group.label ?? 0, place($0)) }.joined()
      body.append(
        "<path class=\"\(Self.style(group.label))\" d=\"\(path)\"><title>\(name(group.label))</title></path>")
    }
    return (body + legend.markup + ["</svg>"]).joined(separator: "\n")
  }

  /// The points of each class, by class.
  private var groups: [(label: Int?, points: [(x: Double, y: Double)])] {
    guard let classes else { return points.isEmpty ? [] : [(nil, points)] }
    return Dictionary(grouping: points.indices) { classes[$0] }.sorted { $0.key < $1.key }
      .map { label, indices in (label, indices.map { points[$0] }) }
  }

  /// The function from points to places. Each axis has a scale of its own: the components of representations often differ
  /// so much that one scale would show a line.
  private var places: ((x: Double, y: Double)) -> (x: Double, y: Double) {
    let frame = Self.frame
    let x = Self.scale(points.map(\.x), from: frame.left + 8, to: frame.right - 8)
    let y = Self.scale(points.map(\.y), from: frame.bottom - 8, to: frame.top + 20)
    return { (x($0.x), y($0.y)) }
  }

  /// Returns the function from values to the range between two places; the middle, if they are all equal.
  private static func scale(_ values: [Double], from start: Double, to end: Double) -> (Double) -> Double {
    let (low, high) = (values.min() ?? 0, values.max() ?? 0)
    // Halves, whose difference does not overflow.
    let extent = high / 2 - low / 2
    guard extent > 0 else { return { _ in (start + end) / 2 } }
    return { start + (end - start) * ($0 / 2 - low / 2) / extent }
  }

  private func name(_ label: Int?) -> String {
    guard let label else { return "samples" }
    let own = names.flatMap { $0.indices.contains(label) ? $0[label] : nil }
    return Markup.escape(own.map { ForeignText($0, limit: 40).description } ?? "\(label)")
  }

  private static func style(_ label: Int?) -> String { "s\(abs(label ?? 0) % colours)" }

  /// Returns the form of a class at a place, as a part of a path. Seven forms and six colours have no common factor.
  private static func form(_ label: Int, _ place: (x: Double, y: Double)) -> String {
    let (x, y) = (place.x, place.y)
    func start(_ dx: Double, _ dy: Double) -> String { "M\(Plot.number(x + dx)),\(Plot.number(y + dy))" }
    return switch abs(label) % 7 {
    case 0: start(-3, 0) + "a3,3 0 1,0 6,0a3,3 0 1,0 -6,0z"
    case 1: start(-2.7, -2.7) + "h5.4v5.4h-5.4z"
    case 2: start(0, -3.6) + "l3.6,6.4h-7.2z"
    case 3: start(0, -3.9) + "l3.9,3.9l-3.9,3.9l-3.9,-3.9z"
    case 4: start(0, 3.6) + "l3.6,-6.4h-7.2z"
    case 5: start(-1, -3.6) + "h2v2.6h2.6v2h-2.6v2.6h-2v-2.6h-2.6v-2h2.6z"
    default: start(-3.4, -1.2) + "h6.8v2.4h-6.8z"
    }
  }

  private func legend(of labels: [Int?]) -> (markup: [String], height: Double) {
    let classes = labels.compactMap(\.self)
    guard !classes.isEmpty else { return ([], 0) }
    guard classes.count <= Self.mostNamed else {
      let text = "\(classes.count) classes; several have the same mark"
      return ([Plot.text(text, 4, Self.size.height + 12, "tick")], 20)
    }
    var (markup, left, row): ([String], Double, Double) = ([], 4, 0)
    for label in classes {
      let name = name(label)
      let width = 18 + 6.6 * Double(name.count) + 12
      if left + width > Self.size.width, left > 4 { (left, row) = (4, row + 1) }
      let place = Self.size.height + 12 + row * 20
      markup.append("<path class=\"\(Self.style(label))\" d=\"\(Self.form(label, (left + 5, place - 4)))\"/>")
      // The name is escaped.
      markup.append(
        "<text class=\"name\" x=\"\(Plot.number(left + 14))\" y=\"\(Plot.number(place))\">\(name)</text>")
      left += width
    }
    return (markup, (row + 1) * 20)
  }
}

extension ScatterPlot {
  /// The style, a part of ``PageStyle/css``.
  static let css = """
    .scatter path { stroke: none; fill-opacity: 0.75; }
    """
}
