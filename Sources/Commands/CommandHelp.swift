/// Words that several commands' help has.
package enum CommandHelp {
  /// What a data SPEC is.
  package static let dataSpec = """
    A data SPEC is KIND:ARGUMENT, such as folder:DIR, cifar10:DIR or shapes:2000, and may end in ?skip=N&limit=N \
    (docs/data.md).
    """

  /// A command's exit codes with their meaning, a line each; `make man` finds them below this heading.
  package static func exitCodes(_ codes: CommandFailure.Code...) -> String {
    let known = CommandFailure.Code.allCases.filter(codes.contains).map { ($0.rawValue, $0.meaning) }
    return (["Exit codes:"] + ([(0, success)] + known).map(line)).joined(separator: "\n")
  }

  private static let success = "done, or a server or client stopped in good order by a signal"

  private static func line(_ code: Int32, _ meaning: String) -> String {
    "  \(code)\(String(repeating: " ", count: 4 - "\(code)".count))\(meaning)"
  }
}
