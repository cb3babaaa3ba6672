extension Plan {
  /// The fields in which this plan is not another, in the order of the file, each as `round.quorum: 2 there, 3 here`.
  /// The other one is there.
  package func differences(from other: Plan) -> [String] {
    PlanField.all.compactMap { field in
      let (here, there) = (value(of: field), other.value(of: field))
      return here == there ? nil : "\(field.path): \(there) there, \(here) here"
    }
  }

  /// A field as the file has it, short enough for a message.
  private func value(of field: PlanField) -> String {
    guard field.section != PlanField.optionalSection || method.calibration != nil,
      field.belongs(to: self)
    else { return "nothing" }
    let text = field.write(self)
    return text.count > 60 ? "\(text.prefix(60))…" : text
  }
}
