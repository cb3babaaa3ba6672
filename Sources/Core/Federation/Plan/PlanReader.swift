import Datasets
import Support
import Yams

extension Plan {
  /// Reads a plan's YAML. `file` is only what the problems call it.
  ///
  /// Rejects what it does not know and what cannot be, with every problem and its line.
  package init(yaml text: String, file: String) throws(PlanError) {
    let root = try PlanDocument.root(of: text, file: file)
    var reader = PlanReader()
    reader.collect(root, section: "", line: 1)
    let plan = reader.plan()
    guard reader.problems.isEmpty else { throw PlanError(file: file, problems: reader.problems) }
    self = plan
  }
}

/// Sorts the nodes of a file under the paths of the table, then reads them in the table's order.
private struct PlanReader {
  private(set) var problems: [PlanError.Problem] = []
  private var nodes: [String: Node] = [:]
  /// Where each field and section stands.
  private var lines: [String: Int] = [:]
  /// Fields and sections that have had their problem.
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
        // Otherwise `method.ssl: simclr` at the top would pass for the field of that path.
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

  /// The plan, worth something only while there are no problems.
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
    for rule in PlanRule.all where rejected.isDisjoint(with: [rule.field] + rule.others) {
      guard let reason = rule.rejection(plan) else { continue }
      // A field that was left out has no line; then that of a field it disagrees with helps more.
      let stated = ([rule.field] + rule.others).first { lines[$0] != nil }
      reject(rule.field, line(of: stated ?? rule.field), reason)
    }
    return plan
  }

  /// A field that the file leaves out.
  private mutating func fill(_ field: PlanField, of plan: inout Plan) {
    switch field.fallback {
    case .standard: break
    case .derived(_, let change): change(&plan)
    case .requiredUnlessResNet(let change) where plan.encoder.family == .resnet: change(&plan)
    case .required, .requiredUnlessResNet:
      let isWanted = lines[field.section] != nil || field.section != PlanField.optionalSection
      guard isWanted, rejected.isDisjoint(with: ["", field.section, field.path]) else { return }
      reject(field.path, line(of: field.path), "is missing; it has no default and must be: \(field.type)")
    }
  }

  /// The line of a field, or of the nearest section around it that the file has.
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
      // What was meant is not missing as well.
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
