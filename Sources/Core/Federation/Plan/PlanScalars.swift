import Yams

extension Node {
  /// What a message calls this kind of node.
  var kind: String {
    switch self {
    case .scalar(let scalar): scalar.isNull ? "empty" : PlanRejection.shown(scalar.string)
    case .sequence: "a list"
    case .mapping: "a mapping"
    case .alias: "an alias"
    }
  }

  /// The text of a scalar. Numbers and the like must not stand in quotes: there they are text.
  func text(for type: String, quoted: Bool) throws(PlanRejection) -> String {
    guard case .scalar(let scalar) = self, !scalar.isNull else {
      throw PlanRejection("is \(kind); must be: \(type)")
    }
    guard quoted || scalar.style == .plain else {
      throw PlanRejection("is text, in quotes; must be: \(type)")
    }
    return scalar.string
  }
}

extension Node.Scalar {
  /// YAML's ways of saying nothing.
  var isNull: Bool { style == .plain && ["", "~", "null", "Null", "NULL"].contains(string) }
}

extension String {
  /// In double quotes, with the escapes that YAML shares with JSON.
  var yamlQuoted: String {
    var text = "\""
    for scalar in unicodeScalars {
      switch scalar {
      case "\"", "\\": text += "\\\(scalar)"
      // Beyond controls, YAML counts these three among line ends and marks.
      case _ where scalar.properties.generalCategory == .control, "\u{2028}", "\u{2029}", "\u{FEFF}":
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text + "\""
  }
}

extension Float {
  /// The shortest decimal that reads back the same, without ".0".
  var yaml: String {
    self == rounded() && magnitude < 1e6 ? "\(Int(self))" : "\(self)"
  }
}
