import Federation
import Foundation
import TestSupport
import Testing

/// `fedserver init`: the folder of a first deployment.
@Suite(.unhurried) struct FirstDeploymentTests {
  private func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

  private func mode(_ path: String) throws -> Int {
    try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int ?? 0o777
  }

  /// Returns a file of the repository's `deploy`.
  private func deployed(_ name: String) throws -> String {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    return try text(root.deletingLastPathComponent().appending(path: "deploy/\(name)").path)
  }

  /// Returns the lines of the second text that are not in the first.
  private func changed(_ old: String, _ new: String) -> [String] {
    let known = Set(old.split(separator: "\n"))
    return new.split(separator: "\n").filter { !known.contains($0) }.map(String.init)
  }

  @Test func aJobRunsToItsEndFromTheFolder() async throws {
    try await withTemporaryFolder { folder in
      let first = folder.path("first")
      let made = try await Command.run(
        "fedserver", "init", first, "--host", "127.0.0.1", "--client", "one", "--data", "shapes:32")
      #expect(made.code == 0 && made.errors.isEmpty, "\(made)")
      // Shortens the plan in the folder, so that the test can wait for it.
      let plan = "\(first)/plan.yaml"
      var short = try text(plan)
      for (from, to) in [
        ("roundsPerStage: 5", "roundsPerStage: 1"), ("depth: 4", "depth: 1"), ("epochs: 2", "epochs: 1"),
      ] {
        #expect(short.contains(from), "the plan has no '\(from)'")
        short = short.replacing(from, with: to)
      }
      try Data(short.utf8).write(to: URL(filePath: plan))
      let daemon = try Command(
        "fedserver",
        ["run", plan, "--listen", "127.0.0.1:0", "--database", "\(first)/db", "--tls", "\(first)/tls"])
      let line = try await daemon.errors.line(containing: "listening on ")
      let address = String(try #require(line.split(separator: " ").last))
      let code = try text("\(first)/clients/one/code").trimmingCharacters(in: .newlines)
      let state = folder.path("one")
      let enrolled = try await Command.run(
        "fedclient", "enroll", "--server", address, "--state", state, code)
      #expect(enrolled.code == 0, "\(enrolled)")
      let client = try await Command.run(
        "fedclient", "run", "--server", address, "--name", "one", "--data", "shapes:32", "--state", state,
        "--threads", "1", "--patience", Unhurried.patience)
      #expect(client.code == 0, "\(client)")
      let server = try await daemon.outcome()
      #expect(server.code == 0 && server.output.hasPrefix("encoder "), "\(server)")
    }
  }

  /// As stated in its comments: a round commits without one device, and later rounds do not wait for it.
  @Test func aDeviceMayBeMissing() async throws {
    try await withTemporaryFolder { folder in
      let first = folder.path("first")
      let names = ["one", "two", "three"]
      let words = ["init", first, "--host", "127.0.0.1"] + names.flatMap { ["--client", $0] }
      let made = try await Command("fedserver", words).outcome()
      #expect(made.code == 0, "\(made)")
      let plan = "\(first)/plan.yaml"
      var short = try text(plan)
      for (from, to) in [
        ("roundsPerStage: 5", "roundsPerStage: 2"), ("depth: 4", "depth: 1"), ("wait: 10s", "wait: 1s"),
      ] {
        #expect(short.contains(from), "the plan has no '\(from)'")
        short = short.replacing(from, with: to)
      }
      try Data(short.utf8).write(to: URL(filePath: plan))
      let daemon = try Command(
        "fedserver", ["run", plan, "--listen", "127.0.0.1:0", "--database", "\(first)/db"])
      let line = try await daemon.errors.line(containing: "listening on ")
      let address = String(try #require(line.split(separator: " ").last))
      let clients = try names.dropLast().map { name in
        try Command(
          "fedclient",
          [
            "run", "--server", address, "--name", name, "--data", "shapes:32", "--state", folder.path(name),
            "--threads", "1", "--patience", "20s",
          ])
      }
      for client in clients { #expect(try await client.outcome().code == 0) }
      let server = try await daemon.outcome()
      #expect(server.code == 0 && server.errors.contains("round 2 is committed: 2 clients"), "\(server)")
    }
  }

  /// A quarter of the devices may be missing, and at least one of several.
  @Test func thePlanToleratesMissingDevices() async throws {
    try await withTemporaryFolder { folder in
      for (count, quorum) in [(0, 3), (1, 1), (2, 1), (3, 2), (4, 3), (5, 4), (8, 6), (12, 9)] {
        let names = (0..<count).flatMap { ["--client", "device-\($0)"] }
        let made = try await Command("fedserver", ["init", folder.path("\(count)")] + names).outcome()
        #expect(made.code == 0, "\(made)")
        let plan = try Plan(yaml: text(folder.path("\(count)/plan.yaml")), file: "plan.yaml")
        #expect(plan.round.cohort == (count == 0 ? 4 : count) && plan.round.quorum == quorum, "\(count)")
        #expect(plan.traffic.codec == .int8 && plan.traffic.layers == .int8)
        #expect(plan.round.wait == .seconds(10))
      }
    }
  }

  @Test func theServicesAreThoseOfThePackages() async throws {
    try await withTemporaryFolder { folder in
      let first = folder.path("first")
      let made = try await Command.run(
        "fedserver", "init", first, "--host", "coordinator.example", "--host", "192.0.2.7", "--client", "a",
        "--client", "b")
      #expect(made.code == 0, "\(made)")
      #expect(try made.output.hasSuffix(text("\(first)/README.md")), "what is next is printed")
      #expect(!made.output.contains("@"), "nothing is left to fill in: \(made.output)")
      for unit in ["fedserver.service", "fedclient.service"] {
        #expect(try text("\(first)/\(unit)") == deployed(unit))
      }
      #expect(
        try changed(deployed("debian/fedserver.default"), text("\(first)/fedserver.default")) == [
          "FEDSERVER_LISTEN=0.0.0.0:7400",
          "FEDSERVER_OPTIONS=\"--tls /var/lib/strata-server/tls --http 127.0.0.1:8080\"",
        ])
      #expect(
        try changed(deployed("debian/fedclient.default"), text("\(first)/clients/b/fedclient.default")) == [
          "FEDCLIENT_SERVER=coordinator.example:7400", "FEDCLIENT_DATA=\"folder:/srv/images\"",
          "FEDCLIENT_NAME=b",
        ])
      let plan = try Plan(yaml: text("\(first)/plan.yaml"), file: "plan.yaml")
      #expect(plan.round.cohort == 2, "as many as there are clients")
      #expect(made.output.contains("(here NAME is a)"))
      let list = try await Command.run("fedserver", "certificate", "list", "--tls", "\(first)/tls")
      #expect(list.output.contains("server  coordinator.example  valid until"), "\(list)")
    }
  }

  @Test func itIsNobodyElsesBusiness() async throws {
    try await withTemporaryFolder { folder in
      let first = folder.path("first")
      #expect(try await Command.run("fedserver", "init", first, "--client", "a").code == 0)
      let paths = try FileManager.default.subpathsOfDirectory(atPath: first)
      #expect(paths.contains("tls/authority.key") && paths.contains("clients/a/code"))
      for path in [first] + paths.map({ "\(first)/\($0)" }) {
        #expect(try mode(path) & 0o077 == 0, "\(path)")
      }
      #expect(try mode("\(first)/clients/a/code") == 0o600)
    }
  }

  @Test func nothingIsOverwrittenAndNothingIsHalfWritten() async throws {
    try await withTemporaryFolder { folder in
      let first = folder.path("first")
      try FileManager.default.createDirectory(atPath: first, withIntermediateDirectories: false)
      let before = try FileManager.default.attributesOfItem(atPath: first)[.systemFileNumber] as? Int
      let made = try await Command.run("fedserver", "init", first)
      #expect(made.code == 0, "an empty folder will do")
      #expect(made.output.contains("(with the device's name for NAME)"), "\(made)")
      let after = try FileManager.default.attributesOfItem(atPath: first)[.systemFileNumber] as? Int
      #expect(before == after, "somebody may be in it")
      let key = try text("\(first)/tls/authority.key")
      for (path, problem) in [
        (first, "not empty"), ("\(first)/plan.yaml", "is not a folder"),
        (folder.path("a/b"), "does not exist"),
        ("/proc/first", ": No such file or directory"),
      ] {
        let rejected = try await Command.run("fedserver", "init", path)
        #expect(rejected.code == 7 && rejected.lines.count == 1 && rejected.output.isEmpty, "\(rejected)")
        #expect(rejected.errors.contains(path) && rejected.errors.contains(problem), "\(rejected)")
      }
      #expect(try text("\(first)/tls/authority.key") == key)
      // A name that is too long for a certificate makes the command fail midway.
      let long = "\(String(repeating: "a", count: 70)).example"
      let failed = try await Command.run("fedserver", "init", folder.path("other"), "--host", long)
      #expect(failed.code == 7 && failed.lines.count == 1, "\(failed)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["first"])
    }
  }

  @Test(arguments: [
    ["--client", "a b"], ["--client", "a", "--client", "a"], ["--host", ""], ["--data", "pictures:4"],
    ["--data", "folder:/srv/\"x"],
  ])
  func wordsThatMakeNoSense(_ words: [String]) async throws {
    try await withTemporaryFolder { folder in
      let outcome = try await Command("fedserver", ["init", folder.path("first")] + words).outcome()
      #expect(outcome.code == 64, "\(outcome)")
      #expect(!FileManager.default.fileExists(atPath: folder.path("first")))
    }
  }
}
