import Support

/// Everything that is wrong with a plan's file, so that one attempt is enough to mend it.
package struct PlanError: Error, Sendable, Hashable, CustomStringConvertible {
  /// One thing that is wrong.
  package struct Problem: Sendable, Hashable {
    /// Counted from 1.
    package let line: Int
    /// As in `encoder.width`; empty where the file as a whole is meant.
    package let field: String
    package let reason: String
  }

  package let file: String
  /// By line.
  package let problems: [Problem]

  init(file: String, problems: [Problem]) {
    self.file = file
    self.problems = problems.sorted { ($0.line, $0.field, $0.reason) < ($1.line, $1.field, $1.reason) }
  }

  /// `file:line: field: reason`, each problem on a line of its own.
  package var description: String {
    problems.map { problem in
      let field = problem.field.isEmpty ? "" : "\(problem.field): "
      return "\(file):\(problem.line): \(field)\(problem.reason)"
    }.joined(separator: "\n")
  }
}

/// Why a value is not taken, before it is known where it stands.
package struct PlanRejection: Error, Sendable, Hashable {
  package let reason: String

  package init(_ reason: String) {
    self.reason = reason
  }

  /// A text of the file as a message may show it: on one line, and not endless.
  package static func shown(_ text: String) -> String {
    "'\(ForeignText(text, limit: 61))'"
  }
}
