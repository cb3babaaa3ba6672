import Commands
import Foundation
import TestSupport
import Testing

/// The paths that a command may write, and those it must not change.
@Suite(.unhurried) struct OutputFileTests {
  private func rejection(_ path: String, notIn database: String? = nil) -> String? {
    do throws(CommandFailure) {
      _ = try OutputFile(path, notIn: database)
      return nil
    } catch {
      #expect(error.code == .store)
      return error.message
    }
  }

  @Test func theOldFileIsReplacedAndKeepsItsPermissions() async throws {
    try await withTemporaryFolder { folder in
      let path = folder.path("out")
      try OutputFile(path).write(Data("old".utf8))
      #expect(chmod(path, 0o640) == 0)
      try OutputFile(path).write(Data("new".utf8))
      #expect(try String(contentsOfFile: path, encoding: .utf8) == "new")
      #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o640)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["out"])
    }
  }

  @Test func whatCannotBeMadeLeavesTheOldFile() async throws {
    try await withTemporaryFolder { folder in
      let path = folder.path("out")
      try OutputFile(path).write(Data("old".utf8))
      let file = try OutputFile(path)
      let failure = #expect(throws: CommandFailure.self) {
        try file.write { _ in throw POSIXError(.ENOSPC) }
      }
      #expect(failure?.message == "\(path): No space left on device")
      #expect(try String(contentsOfFile: path, encoding: .utf8) == "old")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["out"])
    }
  }

  @Test func onlyARegularFileIsReplaced() async throws {
    try await withTemporaryFolder { folder in
      try Data("kept".utf8).write(to: folder.appendingPathComponent("target"))
      #expect(symlink(folder.path("target"), folder.path("link")) == 0)
      #expect(symlink(folder.path("nowhere"), folder.path("dangling")) == 0)
      #expect(mkfifo(folder.path("fifo"), 0o600) == 0)
      for (name, problem) in [
        ("link", "it is a symbolic link"), ("dangling", "it is a symbolic link"),
        ("fifo", "it exists and is not a regular file"), ("", "it does not name a file"),
        ("none/out", "its folder \(folder.path("none")): No such file or directory"),
        ("target/out", "Not a directory"),
      ] {
        let path = name.isEmpty ? folder.path + "/" : folder.path(name)
        #expect(rejection(path)?.hasPrefix("\(path): \(problem)") == true, "\(rejection(path) ?? "taken")")
      }
      #expect(rejection("/dev/null") == "/dev/null: it exists and is not a regular file")
      #expect(rejection(folder.path) == "\(folder.path): it exists and is not a regular file")
    }
  }

  /// By its name, by another name of the same file, and by names that do not exist yet.
  @Test func aDatabaseAndWhatBelongsToItStay() async throws {
    try await withTemporaryFolder { folder in
      let database = folder.path("strata.sqlite")
      try Data("not like SQLite".utf8).write(to: URL(fileURLWithPath: database))
      try FileManager.default.createDirectory(
        atPath: folder.path("strata.sqlite-spool"), withIntermediateDirectories: false)
      #expect(link(database, folder.path("hard")) == 0)
      #expect(symlink(database, folder.path("link")) == 0)
      for name in [
        "strata.sqlite", "hard", "strata.sqlite-wal", "strata.sqlite-shm", "strata.sqlite-journal",
        "strata.sqlite-spool/update", "../\(folder.lastPathComponent)/strata.sqlite-wal",
      ] {
        for given in [database, folder.path("link")] {
          let problem = rejection("\(folder.path)/\(name)", notIn: given)
          #expect(
            problem?.hasSuffix("it belongs to the database \(given), and is not replaced") == true, "\(name)")
        }
      }
      #expect(rejection(folder.path("report.html"), notIn: database) == nil)
      // Another database is unrelated to the command, but must not be lost either.
      try Data("SQLite format 3\0 and more".utf8).write(to: folder.appendingPathComponent("other"))
      #expect(
        rejection(folder.path("other")) == "\(folder.path("other")): it is a database, and is not replaced"
      )
    }
  }
}
