import Foundation
import Testing

/// Servers and clients in the background, started manually or as services.
extension DocumentRunner {
  /// Waits until the daemon is ready: a server listens, a client has joined, or its job is already finished.
  func start(_ name: String, as statement: ShellBlock.Statement, _ command: Command) async throws {
    daemons.append(Daemon(name: name, statement: statement, command: command))
    do {
      _ = try await command.errors.line(containing: name == "fedserver" ? "listening on " : "joined the job")
    } catch is LineLog.Ended {
      expectGoodEnd(try await command.outcome(), statement)
    }
  }

  /// Replaces `systemctl` without systemd: runs the unit's command line with the settings of its file.
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

  /// Follows a direction for the test.
  func follow(_ direction: Markdown.Direction) async throws {
    if direction.verb != "await" { return try await end(direction.daemon, by: direction.verb) }
    let daemon = try #require(
      daemons.last { $0.name == direction.daemon }, "\(document.path): no \(direction.daemon) runs")
    _ = try await daemon.command.errors.line(containing: direction.words)
  }

  /// Kills all running daemons after a failure.
  func cutAll() {
    for daemon in daemons where !daemon.command.errors.isClosed { daemon.command.cut() }
  }

  /// Ends all running daemons with a name, by a signal to stop or to kill.
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
