extension Plan {
  /// The complete plan as YAML: every field that it has, also those at their defaults. It reads back equal.
  package func yaml() -> String {
    var text = ""
    var open = ""
    for field in PlanField.all {
      if field.section == PlanField.optionalSection, method.calibration == nil { continue }
      guard field.belongs(to: self) else { continue }
      let parts = field.section.split(separator: ".")
      if field.section != open {
        // Sections follow each other in the table's order, so only the last part can be new.
        if let part = parts.last { text += indent(parts.count - 1) + "\(part):\n" }
        open = field.section
      }
      text += indent(parts.count) + "\(field.key): \(field.write(self))\n"
    }
    return text
  }

  private func indent(_ depth: Int) -> String { String(repeating: "  ", count: depth) }
}
