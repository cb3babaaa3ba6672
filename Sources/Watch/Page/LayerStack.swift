import Foundation
import Pages

/// The encoder as a stack of layers, each filled as far as its rounds are done.
struct LayerStack {
  let layers: [Overview.Layer]
  /// Whether nothing trains any more.
  var isOver = false

  var html: String {
    """
    <ol class="stack" aria-label="The encoder's layers, from the lowest">
    \(layers.map(item).joined(separator: "\n"))
    </ol>
    """
  }

  /// How many plots, one under another, are as high as so many layers.
  static func rows(_ layers: Int) -> Int { min(max(layers, 1) / 8 + 1, 4) }

  private func item(_ layer: Overview.Layer) -> String {
    let state =
      switch layer.state {
      case .frozen: "frozen"
      case .training: isOver ? "unfinished" : "in training"
      case .toCome: isOver ? "not begun" : "to come"
      }
    return """
      <li class="layer \(layer.state.rawValue)">\(Self.bar(layer.done, of: layer.rounds))\
      <span class="name">\(Markup.escape(Self.title(layer.name)))</span>\
      <span>\(state), \(layer.done) of \(Wording.count(layer.rounds, "round"))</span></li>
      """
  }

  /// A rectangle as wide as a share of the whole. Its numbers are attributes: styles in them would be rejected.
  static func bar(_ part: Int, of whole: Int, style: String = "") -> String {
    let share = whole > 0 ? min(max(Double(part) / Double(whole), 0), 1) : 0
    let width = String(format: "%.1f", share * 100)
    return
      "<svg\(style.isEmpty ? "" : " class=\"\(style)\"") viewBox=\"0 0 100 1\" preserveAspectRatio=\"none\" "
      + "aria-hidden=\"true\"><rect width=\"\(width)\" height=\"1\"/></svg>"
  }

  /// `blocks.0` is the first layer for people.
  private static func title(_ name: String) -> String {
    guard name.hasPrefix("blocks."), let index = Int(name.dropFirst("blocks.".count)) else { return name }
    return "layer \(index + 1)"
  }
}
