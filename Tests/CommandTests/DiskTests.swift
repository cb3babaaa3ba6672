import Foundation
import TestSupport
import Testing

/// A server with a full disk.
@Suite(.unhurried) struct DiskTests {
  private func start(_ folder: URL, database: String) async throws -> (Command, String) {
    let server = try Command(
      "fedserver", ["run", try folder.plan(), "--listen", "127.0.0.1:0", "--database", database])
    let line = try await server.errors.line(containing: "listening on ")
    return (server, String(try #require(line.split(separator: " ").last)))
  }

  private func client(_ folder: URL, _ name: String, _ address: String) throws -> Command {
    try Command(
      "fedclient",
      [
        "run", "--server", address, "--name", name, "--data", "shapes:32", "--state", folder.path(name),
        "--threads",
        "1", "--patience", "1h",
      ])
  }

  /// Uses a separate file system, which a file fills.
  @Test(.enabled(if: geteuid() == 0)) func theStatusTellsOfAFullDisk() async throws {
    try await withTemporaryFolder { folder in
      let disk = folder.path("disk")
      try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: false)
      let mounted = try await Command(
        "/usr/bin/mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", disk]
      ).outcome()
      // A container may not have the permission.
      guard mounted.code == 0 else { return }
      do { try await fill(disk, folder) } catch {
        _ = try await Command("/usr/bin/umount", ["-l", disk]).outcome()
        throw error
      }
      _ = try await Command("/usr/bin/umount", ["-l", disk]).outcome()
    }
  }

  private func fill(_ disk: String, _ folder: URL) async throws {
    let (server, address) = try await start(folder, database: disk + "/strata.sqlite")
    _ = try await server.errors.line(containing: "waits for clients")
    let file = try #require(fopen(disk + "/filler", "w"))
    setbuf(file, nil)
    let piece = [UInt8](repeating: 1, count: 4096)
    while fwrite(piece, 1, piece.count, file) == piece.count {}
    fclose(file)
    let clients = try ["one", "two"].map { try client(folder, $0, address) }
    let outcome = try await server.outcome()
    #expect(outcome.code == 7, "\(outcome)")
    let reason = try #require(outcome.lines.last?.split(separator: ": ", maxSplits: 1).last)
    #expect(reason.contains("full"), "\(outcome)")
    let status = try await Command.run("fedserver", "status", "--database", disk + "/strata.sqlite")
    #expect(status.code == 0 && status.output.contains("\nthe server ended: \(reason)\n"), "\(status)")
    let json = try await Command.run("fedserver", "status", "--database", disk + "/strata.sqlite", "--json")
      .output
    let object = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]
    #expect(
      object?["phase"] as? String == "failed" && object?["reason"] as? String == String(reason), "\(json)")
    // Clients keep trying, since only the operator can repair the disk.
    for client in clients { #expect(!client.errors.isClosed) }
    // With free space the job continues, and its status is updated.
    unlink(disk + "/filler")
    for client in clients {
      client.terminate()
      #expect(try await client.outcome().code == 0)
    }
    let (again, _) = try await start(folder, database: disk + "/strata.sqlite")
    _ = try await again.errors.line(containing: "waits for clients")
    let running = try await Command.run("fedserver", "status", "--database", disk + "/strata.sqlite")
    #expect(running.output.contains("waits for clients"), "\(running)")
    again.terminate()
    #expect(try await again.outcome().code == 0)
  }

  @Test func aDatabaseThatIsTakenAwayEndsItsServer() async throws {
    try await withTemporaryFolder { folder in
      let database = folder.path("strata.sqlite")
      let (server, address) = try await start(folder, database: database)
      _ = try await server.errors.line(containing: "waits for clients")
      let client = try client(folder, "one", address)
      // A server that ended before the client was connected would tell it nothing.
      _ = try await client.errors.line(containing: "joined the job")
      for ending in ["", "-wal", "-shm"] { try FileManager.default.removeItem(atPath: database + ending) }
      // Its arrival is written to the database.
      let other = try self.client(folder, "two", address)
      let outcome = try await server.outcome()
      #expect(outcome.code == 7, "\(outcome)")
      #expect(
        outcome.lines.last?.hasPrefix(
          "fedserver: \(database): it was moved or removed while the server used it") == true,
        "\(outcome)")
      _ = try await client.errors.line(containing: "disconnected: the server cannot use its database")
      for command in [client, other] {
        command.terminate()
        #expect(try await command.outcome().code == 0)
      }
    }
  }
}
