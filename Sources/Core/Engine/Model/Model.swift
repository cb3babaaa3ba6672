/// An encoder of so many blocks with the heads that train it, and the layout of all their parameters.
///
/// The order is stem, blocks, final normalisation, projector: what a stage trains is then one range.
package struct Model: Sendable {
  /// A range of the layout that travels and is stored as one: what the papers call a layer.
  package struct Part: Sendable, Hashable {
    /// `stem`, `blocks.0` …, `norm`, `projector`.
    package let name: String
    package let range: Range<Int>
  }

  package let layout: Layout
  package let encoder: Encoder
  package let projector: Head
  /// In layout order, without gaps.
  package let parts: [Part]

  package init(_ configuration: EncoderConfiguration, heads: HeadConfiguration, depth: Int) {
    var layout = Layout()
    encoder = Encoder(configuration, depth: depth, in: &layout)
    projector = Head(
      "projector", widths: [configuration.width, heads.hidden, heads.hidden, heads.output], bias: heads.bias,
      in: &layout)
    self.layout = layout
    parts = Self.parts(of: layout)
  }

  package var depth: Int { encoder.blocks.count }

  /// The encoder's parameters, heads left out: what an exported checkpoint holds.
  package var encoderRange: Range<Int> { 0..<encoder.norm.bias.range.upperBound }

  /// The part of a name, or nil where the model has none such.
  package func part(_ name: String) -> Part? { parts.first { $0.name == name } }

  private static func parts(of layout: Layout) -> [Part] {
    var parts: [Part] = []
    for entry in layout.entries {
      let name = partName(of: entry.name)
      let range = entry.slot.range
      if let last = parts.last, last.name == name {
        parts[parts.count - 1] = Part(name: name, range: last.range.lowerBound..<range.upperBound)
      } else {
        parts.append(Part(name: name, range: range))
      }
    }
    return parts
  }

  private static func partName(of parameter: String) -> String {
    let components = parameter.split(separator: ".")
    switch components[0] {
    case "blocks": return "blocks.\(components[1])"
    case "norm", "projector", "predictor": return String(components[0])
    default: return "stem"
    }
  }
}
