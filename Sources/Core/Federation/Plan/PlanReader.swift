import Datasets
import Support
import Yams

extension Plan {
  /// Parses a plan's YAML. `file` is its name in messages.
  ///
  /// Rejects unknown fields and invalid values, and reports all problems with their lines.
  package init(yaml text: String, file: String) throws(PlanError) {
    try self.init(yaml: text, file: file, setting: [])
  }

  /// Parses a plan's YAML with other values of some fields. A field is a path such as `local.learningRate`, and a value
  /// is YAML. Defaults that depend on a field follow its value.
  package init(yaml text: String, file: String, setting fields: [(path: String, value: String)])
    throws(PlanError)
  {
    var root = try PlanDocument.root(of: text, file: file)
    for (path, value) in fields {
      let node: Node
      do { node = try Yams.compose(yaml: value, .basic) ?? Node("") } catch {
        throw PlanError(
          file: file,
          problems: [
            PlanError.Problem(
              line: 1, field: path, reason: "is \(PlanRejection.shown(value)), which is not YAML")
          ])
      }
      root = PlanDocument.setting(
        path.split(separator: ".", omittingEmptySubsequences: false), of: root, to: node)
    }
    var reader = PlanReader()
    reader.collect(root, section: "", line: 1)
    let plan = reader.plan()
    guard reader.problems.isEmpty else { throw PlanError(file: file, problems: reader.problems) }
    self = plan
  }
}

/// Collects the nodes of a file by path, then reads them in the order of the table.
private struct PlanReader {
  private(set) var problems: [PlanError.Problem] = []
  private var nodes: [String: Node] = [:]
  /// The lines of fields and sections.
  private var lines: [String: Int] = [:]
  /// Fields and sections for which a problem has been reported.
  private var rejected: Set<String> = []

  private static let sections = Set(PlanField.all.map(\.section))

  mutating func collect(_ node: Node, section: String, line: Int) {
    lines[section] = line
    guard case .mapping(let mapping) = node else {
      return reject(section, line, "is \(node.kind); must be a mapping of fields to values")
    }
    for (key, value) in mapping {
      let line = key.mark?.line ?? line
      guard case .scalar(let name) = key else {
        reject(section, line, "has \(key.kind) as a key; must be a field's name")
        continue
      }
      let path = section.isEmpty ? name.string : "\(section).\(name.string)"
      if name.string.contains(".") {
        // Otherwise a top-level `method.objective: simclr` would be accepted as the field of that path.
        rejectUnknown(name.string, section: section, line)
      } else if PlanField.all.contains(where: { $0.path == path }) {
        nodes[path] = value
        lines[path] = line
      } else if !path.isEmpty, Self.sections.contains(path) {
        collect(value, section: path, line: line)
      } else {
        rejectUnknown(name.string, section: section, line)
      }
    }
  }

  /// Returns the plan, which is valid only if there are no problems.
  mutating func plan() -> Plan {
    var plan = Plan.unset
    for field in PlanField.all {
      guard field.belongs(to: plan) else {
        if nodes[field.path] != nil {
          reject(
            field.path, line(of: field.path), "is not a field of a \(plan.encoder.family.rawValue) encoder")
        }
        continue
      }
      if let section = field.optionalSection {
        guard lines[field.section] != nil, !rejected.contains(field.section) else { continue }
        if !section.isPresent(plan) { section.create(&plan) }
      }
      if let node = nodes[field.path] {
        do throws(PlanRejection) {
          try field.read(node, &plan)
        } catch {
          reject(field.path, line(of: field.path), error.reason)
        }
      } else {
        fill(field, of: &plan)
      }
    }
    for problem in plan.problems(ignoring: rejected) {
      // An omitted field has no line, so the line of a conflicting field is reported.
      let stated = ([problem.field] + problem.others).first { lines[$0] != nil }
      reject(problem.field, line(of: stated ?? problem.field), problem.reason)
    }
    return plan
  }

  /// Sets a field that the file omits, or reports it as missing.
  private mutating func fill(_ field: PlanField, of plan: inout Plan) {
    switch field.fallback {
    case .standard: break
    case .derived(_, let change): change(&plan)
    case .requiredUnless(_, let family, let change) where plan.encoder.family == family: change(&plan)
    case .required, .requiredUnless:
      guard rejected.isDisjoint(with: ["", field.section, field.path]) else { return }
      reject(field.path, line(of: field.path), "is missing; it has no default and must be: \(field.type)")
    }
  }

  /// Returns the line of a field, or of the innermost section around it that the file contains.
  private func line(of path: String) -> Int {
    var path = path
    while lines[path] == nil, let dot = path.lastIndex(of: ".") { path = String(path[..<dot]) }
    return lines[path] ?? 1
  }

  private mutating func rejectUnknown(_ key: String, section: String, _ line: Int) {
    let prefix = section.isEmpty ? "" : "\(section)."
    var reason = "is not a field of a plan"
    if key.contains(".") {
      reason += "; sections are mappings, not dots"
    } else if let suggestion = NearestKey.suggestion(for: key, section: section) {
      reason += "; did you mean \(suggestion)?"
      // The suggested field is not reported as missing in addition.
      rejected.insert(suggestion)
    }
    problems.append(
      PlanError.Problem(line: line, field: prefix + Spelling.shortened(key), reason: reason))
  }

  private mutating func reject(_ path: String, _ line: Int, _ reason: String) {
    rejected.insert(path)
    problems.append(PlanError.Problem(line: line, field: path, reason: reason))
  }
}

/// Parses the YAML of a plan's file as a tree, or throws a single problem.
enum PlanDocument {
  static func root(of text: String, file: String) throws(PlanError) -> Node {
    guard text.utf8.count <= PlanLimits.file else {
      throw error(file, 1, "is longer than \(PlanLimits.file) bytes")
    }
    let root: Node?
    do {
      // The field determines the type of a scalar. Yams' rules for detecting types are regular expressions, which load
      // megabytes of ICU's tables into the process.
      root = try Yams.compose(yaml: text, .basic)
    } catch {
      throw PlanError(file: file, problems: problems(error, in: text))
    }
    guard let root, root.scalar?.isNull != true else {
      throw error(file, 1, "is empty; a plan needs at least an encoder")
    }
    return root
  }

  /// Returns a tree with a value at a path, whose sections are created if they are missing.
  static func setting(_ path: [Substring], of node: Node, to value: Node) -> Node {
    guard let key = path.first else { return value }
    var pairs: [(Node, Node)] = []
    if case .mapping(let mapping) = node { pairs = mapping.map { ($0.key, $0.value) } }
    let index = pairs.firstIndex { $0.0.scalar?.string == String(key) }
    let inner = index.map { pairs[$0].1 } ?? Node([(Node, Node)]())
    let changed = setting(Array(path.dropFirst()), of: inner, to: value)
    if let index { pairs[index].1 = changed } else { pairs.append((Node(String(key)), changed)) }
    return Node(pairs)
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

  /// Returns the full path of a field or section at a mark: of those with its name, the one whose section precedes it
  /// most closely. The parser produces no tree for duplicate keys.
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

/// All problems of a plan's file, so that they can be corrected at once.
package struct PlanError: Error, Sendable, Hashable, CustomStringConvertible {
  /// A single problem.
  package struct Problem: Sendable, Hashable {
    /// The line, starting at 1.
    package let line: Int
    /// The path of the field, such as `encoder.width`; empty for the file as a whole.
    package let field: String
    package let reason: String
  }

  package let file: String
  /// The problems, ordered by line.
  package let problems: [Problem]

  init(file: String, problems: [Problem]) {
    self.file = file
    self.problems = problems.sorted { ($0.line, $0.field, $0.reason) < ($1.line, $1.field, $1.reason) }
  }

  /// The problems as `file:line: field: reason`, one per line.
  package var description: String {
    problems.map { problem in
      let field = problem.field.isEmpty ? "" : "\(problem.field): "
      return "\(file):\(problem.line): \(field)\(problem.reason)"
    }.joined(separator: "\n")
  }
}

/// The reason why a value is rejected, without its position.
package struct PlanRejection: Error, Sendable, Hashable {
  package let reason: String

  package init(_ reason: String) {
    self.reason = reason
  }

  /// Returns a text of the file for a message: on one line and truncated.
  package static func shown(_ text: String) -> String {
    "'\(ForeignText(text, limit: 61))'"
  }
}

/// Suggestions for unknown fields.
enum NearestKey {
  /// Returns the full path of the most likely field or section: one of the same section with a similar name, otherwise
  /// one with the same name elsewhere, preferring shorter paths. Nil if none is similar.
  static func suggestion(for key: String, section: String) -> String? {
    let key = Spelling.shortened(key)
    let paths = PlanField.all.map(\.path) + PlanField.all.map(\.section).filter { !$0.isEmpty }
    let siblings = paths.filter { parent(of: $0) == section }
    if let nearest = Spelling.nearest(to: key, among: siblings, by: name) { return nearest }
    return paths.filter { name(of: $0).lowercased() == key.lowercased() }.min {
      depth(of: $0) < depth(of: $1)
    }
  }

  private static func depth(of path: String) -> Int { path.count { $0 == "." } }

  private static func parent(of path: String) -> String {
    path.lastIndex(of: ".").map { String(path[..<$0]) } ?? ""
  }

  private static func name(of path: String) -> String {
    path.lastIndex(of: ".").map { String(path[path.index(after: $0)...]) } ?? path
  }
}

extension Plan {
  /// Returns the complete plan as YAML, including fields with defaults. Parsing it returns an equal plan.
  package func yaml() -> String {
    var text = ""
    var open = ""
    for field in PlanField.all {
      guard field.isPresent(in: self) else { continue }
      let parts = field.section.split(separator: ".")
      if field.section != open {
        // Sections follow the order of the table, so only the last component can be new.
        if let part = parts.last { text += indent(parts.count - 1) + "\(part):\n" }
        open = field.section
      }
      text += indent(parts.count) + "\(field.key): \(field.write(self))\n"
    }
    return text
  }

  private func indent(_ depth: Int) -> String { String(repeating: "  ", count: depth) }
}
