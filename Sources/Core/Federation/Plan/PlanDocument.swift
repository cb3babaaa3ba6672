import Yams

/// The YAML of a plan's file as a tree, or the one problem that keeps it from being one.
enum PlanDocument {
  static func root(of text: String, file: String) throws(PlanError) -> Node {
    guard text.utf8.count <= PlanLimits.file else {
      throw error(file, 1, "is longer than \(PlanLimits.file) bytes, which no plan is")
    }
    let root: Node?
    do {
      // What kind of value a scalar is follows from its field. Yams' own rules for that are regular expressions, which
      // take megabytes of ICU's tables into a process.
      root = try Yams.compose(yaml: text, .basic)
    } catch {
      throw PlanError(file: file, problems: problems(error, in: text))
    }
    guard let root, root.scalar?.isNull != true else {
      throw error(file, 1, "is empty; a plan needs at least an encoder")
    }
    return root
  }

  private static func error(_ file: String, _ line: Int, _ reason: String) -> PlanError {
    PlanError(file: file, problems: [PlanError.Problem(line: line, field: "", reason: reason)])
  }

  private static func problems(_ error: any Error, in text: String) -> [PlanError.Problem] {
    func problem(_ line: Int, _ reason: String) -> [PlanError.Problem] {
      [PlanError.Problem(line: line, field: "", reason: "is not YAML: \(reason)")]
    }
    switch error as? YamlError {
    case .scanner(let context, let reason, let mark, _), .parser(let context, let reason, let mark, _),
      .composer(let context, let reason, let mark, _):
      let origin = context.map { " (\($0.text), line \($0.mark.line))" } ?? ""
      return problem(mark.line, reason + origin)
    case .reader(let reason, let offset, _, _):
      return problem(1 + text.prefix(offset ?? 0).count(where: \.isNewline), reason)
    case .duplicatedKeysInMapping(let keys, let context):
      return keys.map { key in
        PlanError.Problem(
          line: max(1, context.mark.line), field: path(of: key, at: context.mark, in: text),
          reason: "is given more than once, first here")
      }
    default:
      return problem(1, "\(error)")
    }
  }

  /// The whole path of a field or section that stands at a mark: of those of its name the one whose section was named
  /// last before it. There is no tree to look into where a key is there twice.
  private static func path(of key: String, at mark: Mark, in text: String) -> String {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    guard mark.column > 1, lines.indices.contains(mark.line - 1) else { return key }
    let before =
      lines[..<(mark.line - 1)].joined(separator: "\n") + "\n" + lines[mark.line - 1].prefix(mark.column - 1)
    let sections = Set(PlanField.all.map(\.section))
    let paths = PlanField.all.map(\.path) + sections
    let known = paths.filter { $0.hasSuffix(".\(key)") }.map { path in
      let section = path.split(separator: ".").dropLast().last ?? ""
      return (path, before.ranges(of: "\(section):").last?.lowerBound ?? before.startIndex)
    }
    return known.max { $0.1 < $1.1 }?.0 ?? key
  }
}
