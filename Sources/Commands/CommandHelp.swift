/// Words that several commands' help has.
package enum CommandHelp {
  /// What a data SPEC is.
  package static let dataSpec = """
    A data SPEC is KIND:ARGUMENT, such as folder:DIR, cifar10:DIR or shapes:2000, and may end in ?skip=N&limit=N \
    (docs/data.md).
    """

  /// Every exit code with its meaning, a line each; `make man` finds them below this heading.
  package static let exitCodes = """
    Exit codes:
    \(([(0, "done, or stopped in good order by a signal")] + CommandFailure.Code.allCases.map { ($0.rawValue, $0.meaning) })
      .map { line($0.0, $0.1) }.joined(separator: "\n"))
    """

  private static func line(_ code: Int32, _ meaning: String) -> String {
    "  \(code)\(String(repeating: " ", count: 4 - "\(code)".count))\(meaning)"
  }
}
