import Foundation
import Testing

/// Servers and clients in the background, by hand or as services.
extension DocumentRunner {
  /// Returns once the daemon does its work: a server listens, a client has joined; or its job is done already.
  func start(_ name: String, as statement: ShellBlock.Statement, _ command: Command) async throws {
    daemons.append(Daemon(name: name, statement: statement, command: command))
    do {
      _ = try await command.errors.line(containing: name == "fedserver" ? "listening on " : "joined the job")
    } catch is LineLog.Ended {
      expectGoodEnd(try await command.outcome(), statement)
    }
  }

  /// What `systemctl` would do, without systemd: the unit's own command line, with the settings of its file.
  func control(_ words: [String], _ statement: ShellBlock.Statement) async throws {
    guard words.count == 3, words[1] != "enable" else { return }
    try await end(words[2], by: "stop")
    if words[1] != "stop" { try await start(words[2], as: statement, try service(words[2])) }
  }

  private func service(_ name: String) throws -> Command {
    let unit = try Repository.text("deploy/\(name).service")
    let line = try #require(unit.firstMatch(of: /ExecStart=\/usr\/bin\/(.*)/)?.1)
    let state = try #require(unit.firstMatch(of: /StateDirectory=(.*)/)?.1)
    let settings = folder.appendingPathComponent("etc/default/\(name)")
    let known = substitutions.applied(to: try String(contentsOf: settings, encoding: .utf8))
    try Data(known.utf8).write(to: settings)
    try cutPlans(line.split(separator: " ").map(String.init))
    let folders = "STATE_DIRECTORY=\(folder.path)/var/lib/\(state)"
    let command = substitutions.applied(to: String(line))
    return try shell("set -a; \(folders); . '\(settings.path)'; exec \(command)")
  }

  /// Does what a document wants of the test alone.
  func follow(_ direction: Markdown.Direction) async throws {
    if direction.verb != "await" { return try await end(direction.daemon, by: direction.verb) }
    let daemon = try #require(
      daemons.last { $0.name == direction.daemon }, "\(document.path): no \(direction.daemon) runs")
    _ = try await daemon.command.errors.line(containing: direction.words)
  }

  /// Ends whatever runs, where what was meant to happen did not.
  func cutAll() {
    for daemon in daemons where !daemon.command.errors.isClosed { daemon.command.cut() }
  }

  /// Ends all daemons of a name that run: stops them in good order, or cuts them off.
  private func end(_ name: String, by verb: String) async throws {
    let ending = daemons.filter { $0.name == name && !$0.command.errors.isClosed }
    for daemon in ending {
      verb == "cut" ? daemon.command.cut() : daemon.command.terminate()
      let outcome = try await daemon.command.outcome()
      if verb == "stop" { expectGoodEnd(outcome, daemon.statement) }
      daemons.removeAll { $0.command.process == daemon.command.process }
    }
  }
}
