import Foundation

/// The commands with their arguments, from the executables' dumps for completion scripts.
struct CommandTree: Sendable {
  struct Node: Decodable, Sendable {
    let commandName: String
    let arguments: [Argument]?
    let subcommands: [Node]?
  }

  struct Argument: Decodable, Sendable {
    enum Kind: String, Decodable { case positional, option, flag }
    struct Name: Decodable { let name: String }

    let kind: Kind
    let names: [Name]?
    let valueName: String?
    let isOptional: Bool
    let isRepeating: Bool

    var isWanted: Bool { !isOptional && !isRepeating }
    var shown: String { names?.last.map { "--\($0.name)" } ?? "<\(valueName ?? "")>" }

    func isNamed(_ word: String) -> Bool {
      let name = word.drop { $0 == "-" }
      return names?.contains { $0.name == name } ?? false
    }
  }

  static let executables = ["fedserver", "fedclient", "fedsim"]

  private let roots: [String: Node]

  /// Runs the executables.
  init() async throws {
    struct Dump: Decodable { let command: Node }
    var roots: [String: Node] = [:]
    for name in Self.executables {
      let dump = try await Command.run(name, "--experimental-dump-help").output
      roots[name] = try JSONDecoder().decode(Dump.self, from: Data(dump.utf8)).command
    }
    self.roots = roots
  }

  /// Returns the error in a command line; nil if there is none. A part of a command line, as in prose, may omit
  /// required arguments and contain an ellipsis.
  func problem(with words: [String], isPart: Bool = false) -> String? {
    guard var node = words.first.flatMap({ roots[$0] }) else { return "no such command" }
    var rest = words.dropFirst().filter { $0 != "…" }[...]
    while let word = rest.first, let subcommands = node.subcommands, !subcommands.isEmpty,
      !word.hasPrefix("-")
    {
      guard let next = subcommands.first(where: { $0.commandName == word }) else {
        return "\(node.commandName) has no subcommand \(word)"
      }
      (node, rest) = (next, rest.dropFirst())
    }
    if !isPart, node.subcommands?.isEmpty == false { return "\(node.commandName) wants a subcommand" }
    return problem(of: node, rest, isPart)
  }

  private func problem(of node: Node, _ words: ArraySlice<String>, _ isPart: Bool) -> String? {
    let arguments = node.arguments ?? []
    var (rest, given, plain) = (words, Set<String>(), 0)
    while let word = rest.popFirst() {
      guard word.hasPrefix("-"), word != "-" else {
        plain += 1
        continue
      }
      let parts = word.split(separator: "=", maxSplits: 1)
      guard let argument = arguments.first(where: { $0.isNamed(String(parts[0])) }) else {
        return "\(node.commandName) has no \(word)"
      }
      given.insert(argument.shown)
      guard argument.kind == .option, parts.count == 1 else { continue }
      if rest.popFirst() == nil && !isPart { return "\(word) wants a value" }
    }
    let positions = arguments.filter { $0.kind == .positional }
    guard plain <= positions.count || positions.contains(where: \.isRepeating) else {
      return "\(node.commandName) takes \(positions.count) plain arguments, not \(plain)"
    }
    guard !isPart else { return nil }
    if plain < positions.count(where: \.isWanted) {
      return "\(node.commandName) wants \(positions[plain].shown)"
    }
    return arguments.first { $0.kind == .option && $0.isWanted && !given.contains($0.shown) }
      .map { "\(node.commandName) wants \($0.shown)" }
  }

  /// Every option and flag with its command, except the common ones.
  var options: [(command: String, option: String)] {
    func options(_ node: Node, _ names: [String]) -> [(command: String, option: String)] {
      let own = (node.arguments ?? []).filter { $0.kind != .positional }.map(\.shown)
      let command = (names + [node.commandName]).joined(separator: " ")
      return own.filter { !["--help", "--version"].contains($0) }.map { (command, $0) }
        + (node.subcommands ?? []).filter { $0.commandName != "help" }
        .flatMap { options($0, names + [node.commandName]) }
    }
    return roots.values.flatMap { options($0, []) }.sorted {
      ($0.command, $0.option) < ($1.command, $1.option)
    }
  }

  /// Returns whether any command has an option or flag, with any value.
  func hasOption(_ word: String) -> Bool {
    let word = String(word.prefix { $0 != "=" })
    func has(_ node: Node) -> Bool {
      (node.arguments ?? []).contains { $0.isNamed(word) } || (node.subcommands ?? []).contains(where: has)
    }
    return roots.values.contains(where: has)
  }
}
