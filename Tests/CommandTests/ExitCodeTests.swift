import Foundation
import TestSupport
import Testing
import Wire

/// Invalid input gives one clear line and an exit code.
@Suite(.unhurried) struct ExitCodeTests {
  private func expect(
    _ outcome: Command.Outcome, _ code: Int32, _ texts: String..., from command: String,
    at location: SourceLocation = #_sourceLocation
  ) {
    #expect(outcome.code == code, "\(outcome)", sourceLocation: location)
    #expect(outcome.lines.count == 1, "\(outcome.errors)", sourceLocation: location)
    #expect(outcome.output.isEmpty, "\(outcome.output)", sourceLocation: location)
    let line = outcome.lines.first ?? ""
    #expect(line.hasPrefix("\(command): "), "\(line)", sourceLocation: location)
    for text in texts { #expect(line.contains(text), "\(line)", sourceLocation: location) }
  }

  @Test func aMissingPlan() async throws {
    try await withTemporaryFolder { folder in
      let plan = folder.path("none.yaml")
      let server = try await Command.run("fedserver", "run", plan, "--database", folder.path("db"))
      expect(server, 2, plan, from: "fedserver")
      #expect(!FileManager.default.fileExists(atPath: folder.path("db")))
      let out = folder.path("out")
      let simulation = try await Command.run("fedsim", "run", plan, "--data", "shapes:64", "--out", out)
      expect(simulation, 2, plan, from: "fedsim")
      #expect(!FileManager.default.fileExists(atPath: out))
    }
  }

  @Test func anUnknownKeyOfThePlan() async throws {
    try await withTemporaryFolder { folder in
      let plan = try folder.plan(extra: "flavour: vanilla")
      let server = try await Command.run("fedserver", "run", plan, "--database", folder.path("db"))
      expect(server, 2, "\(plan):7: ", "flavour", from: "fedserver")
      let simulation = try await Command.run(
        "fedsim", "run", plan, "--data", "shapes:64", "--out", folder.path("out"))
      expect(simulation, 2, "\(plan):7: ", "flavour", from: "fedsim")
    }
  }

  /// The run reports where it diverged and what to try.
  @Test func aTrainingThatDiverges() async throws {
    try await withTemporaryFolder { folder in
      let plan = try folder.divergingPlan()
      let outcome = try await Command.run(
        "fedsim", "run", plan, "--clients", "2", "--data", "shapes:64", "--out", folder.path("out"))
      #expect(outcome.code == 11 && outcome.output.isEmpty, "\(outcome)")
      let last = outcome.lines.last ?? ""
      #expect(last.hasPrefix("fedsim: stage 1 round 1 attempt 2 diverged: "), "\(outcome.errors)")
      for word in ["local.learningRate", "method.temperature", "round.normLimit"] {
        #expect(last.contains(word), "\(last)")
      }
      let rejected = /the update of client-[01] is rejected, it holds a number that is not finite/
      #expect(outcome.errors.contains(rejected), "\(outcome.errors)")
    }
  }

  @Test func moreInTheCohortThanThereAreClients() async throws {
    try await withTemporaryFolder { folder in
      let outcome = try await Command.run(
        "fedsim", "run", try folder.plan(), "--clients", "1", "--data", "shapes:64", "--out",
        folder.path("out"))
      expect(outcome, 2, "cohort is 2, but there is 1 client", from: "fedsim")
    }
  }

  @Test func imagesThatAreNotThere() async throws {
    try await withTemporaryFolder { folder in
      let data = "cifar10:\(folder.path("none"))"
      let client = try await Command.run(
        "fedclient", "run", "--server", "127.0.0.1:1", "--name", "a", "--data", data)
      expect(client, 3, folder.path("none"), from: "fedclient")
      let simulation = try await Command.run(
        "fedsim", "run", try folder.plan(), "--clients", "2", "--data", data, "--out", folder.path("out"))
      expect(simulation, 3, folder.path("none"), from: "fedsim")
    }
  }

  @Test func aTruncatedDataFile() async throws {
    try await withTemporaryFolder { folder in
      let file = folder.path("data_batch_1.bin")
      try Data(count: 3073 * 2 - 100).write(to: URL(fileURLWithPath: file))
      let client = try await Command.run(
        "fedclient", "run", "--server", "127.0.0.1:1", "--name", "a", "--data", "cifar10:\(folder.path)")
      expect(client, 3, file, "6046 bytes", from: "fedclient")
      let simulation = try await Command.run(
        "fedsim", "run", try folder.plan(), "--clients", "2", "--data", "cifar10:\(folder.path)", "--out",
        folder.path("out"))
      expect(simulation, 3, file, "6046 bytes", from: "fedsim")
    }
  }

  @Test(arguments: ["shapes", "shapes:many", "pictures:4", "shapes:64?colour=1", "cifar10:"])
  func aBadSpecification(spec: String) async throws {
    try await withTemporaryFolder { folder in
      let client = try await Command.run(
        "fedclient", "run", "--server", "127.0.0.1:1", "--name", "a", "--data", spec)
      expect(client, 3, "'\(spec)'", from: "fedclient")
      let simulation = try await Command.run(
        "fedsim", "run", try folder.plan(), "--clients", "2", "--data", spec, "--out", folder.path("out"))
      expect(simulation, 3, "'\(spec)'", from: "fedsim")
    }
  }

  @Test func aBadPartition() async throws {
    try await withTemporaryFolder { folder in
      let outcome = try await Command.run(
        "fedsim", "run", try folder.plan(), "--clients", "2", "--data", "shapes:64", "--partition", "odd",
        "--out", folder.path("out"))
      expect(outcome, 3, "'odd'", from: "fedsim")
    }
  }

  @Test(arguments: [("1", "its rate"), ("1mbit,80", "its delay"), ("1mbit,80ms,1", "its loss")])
  func aBadLink(link: String, problem: String) async throws {
    try await withTemporaryFolder { folder in
      let outcome = try await Command.run(
        "fedsim", "run", try folder.plan(), "--clients", "2", "--data", "shapes:64", "--link", link, "--out",
        folder.path("out"))
      expect(outcome, 64, "'\(link)'", problem, from: "fedsim")
      #expect(!FileManager.default.fileExists(atPath: folder.path("out")), "nothing was begun")
    }
  }

  @Test func calibrationImagesThatAreNotThere() async throws {
    try await withTemporaryFolder { folder in
      let plan = folder.path("calibrated.yaml")
      let text = """
        encoder: {image: 32, patch: 4, width: 24, depth: 2, heads: 3}
        method: {calibration: {data: "cifar10:/nowhere"}}
        """
      try Data(text.utf8).write(to: URL(fileURLWithPath: plan))
      let server = try await Command.run(
        "fedserver", "run", plan, "--listen", "127.0.0.1:0", "--database", folder.path("db"))
      expect(server, 3, "calibration data: ", "/nowhere", from: "fedserver")
      #expect(!server.errors.contains("calibration data: calibration data"), "\(server.errors)")
    }
  }

  @Test func aPortInUse() async throws {
    let listener = try await Listener(Endpoint(host: "127.0.0.1", port: 0))
    try await withTemporaryFolder { folder in
      let outcome = try await Command.run(
        "fedserver", "run", try folder.plan(), "--listen", "\(listener.endpoint)", "--database",
        folder.path("db"))
      expect(outcome, 4, "\(listener.endpoint)", "in use", from: "fedserver")
      let page = try await Command.run(
        "fedserver", "run", try folder.plan(), "--listen", "127.0.0.1:0", "--http", "\(listener.endpoint)",
        "--database", folder.path("db"))
      expect(page, 4, "\(listener.endpoint)", "in use", from: "fedserver")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["plan.yaml"])
    }
    listener.shutDown()
    listener.close()
  }

  @Test(arguments: [
    (
      ["fedserver", "run", "PLAN", "--listen", "7400", "--database", "DB"], "--listen: '7400': ",
      "127.0.0.1:7400"
    ),
    (
      ["fedserver", "run", "PLAN", "--listen", ":99999", "--database", "DB"], "--listen: ':99999': the port ",
      "127.0.0.1:7400"
    ),
    (
      ["fedserver", "run", "PLAN", "--http", "8080", "--database", "DB"], "--http: '8080': ", "127.0.0.1:8080"
    ),
    (
      ["fedclient", "run", "--server", "device", "--name", "a", "--data", "shapes:16"],
      "--server: 'device': ",
      ":7400"
    ),
    (["fedclient", "enroll", "--server", "device", "CODE"], "--server: 'device': ", ":7400"),
  ])
  func anAddressThatIsNone(words: [String], problem: String, example: String) async throws {
    try await withTemporaryFolder { folder in
      let known = ["PLAN": try folder.plan(), "DB": folder.path("db")]
      let outcome = try await Command(words[0], words.dropFirst().map { known[$0] ?? $0 }).outcome()
      let line = outcome.lines.first ?? ""
      #expect(
        outcome.code == 64 && line.hasPrefix("Error: \(problem)") && line.hasSuffix(example), "\(outcome)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["plan.yaml"])
    }
  }

  /// An invalid command line creates no database.
  @Test(arguments: [
    (["--listen", "0.0.0.0:0"], 64, "--tls"), (["--tls", "none"], 7, "none/server.crt"),
    (["--probe-every", "3"], 64, "--probe-every needs --probe-data"),
    (["--analyse", "hsic"], 64, "--analyse needs --probe-data"),
    (["--analyse", "hsic,mutual"], 64, "'mutual' is not one of hsic, hsic-pooled, renyi, pca"),
    (["--analyse-every", "2"], 64, "--analyse-every needs --analyse"),
    (
      [
        "--probe-data", "shapes:16", "--probe-test-data", "shapes:16", "--analyse", "hsic",
        "--analyse-samples",
        "5000",
      ], 64, "--analyse-samples is 2 to 4096"
    ),
  ])
  func aServerThatCannotBegin(options: [String], code: Int, problem: String) async throws {
    try await withTemporaryFolder { folder in
      let words = ["run", try folder.plan(), "--database", folder.path("db")] + options
      let outcome = try await Command("fedserver", words).outcome()
      #expect(outcome.code == code && outcome.lines.first?.contains(problem) == true, "\(outcome)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["plan.yaml"])
    }
  }

  @Test func calibrationImagesOfNoKindAreAMistakeOfThePlan() async throws {
    try await withTemporaryFolder { folder in
      let plan = try folder.plan(extra: "# More:\nlocal2: 1")
      let text = try String(contentsOfFile: plan, encoding: .utf8)
        .replacing("local2: 1", with: "").replacing(
          "{roundsPerStage: 1}", with: "{roundsPerStage: 1, calibration: {data: 'nope:1'}}")
      try Data(text.utf8).write(to: URL(fileURLWithPath: plan))
      let outcome = try await Command.run("fedserver", "run", plan, "--database", folder.path("db"))
      expect(outcome, 2, "\(plan):4: method.calibration.data: is 'nope:1'", from: "fedserver")
    }
  }

  @Test func aDatabaseThatIsAFolder() async throws {
    try await withTemporaryFolder { folder in
      let outcome = try await Command.run(
        "fedserver", "run", try folder.plan(), "--listen", "127.0.0.1:0", "--database", folder.path)
      expect(outcome, 7, "\(folder.path): it is a folder, not a database", from: "fedserver")
      let nowhere = try await Command.run(
        "fedserver", "run", try folder.plan(), "--listen", "127.0.0.1:0", "--database", folder.path("none/db")
      )
      expect(nowhere, 7, "its folder \(folder.path("none")): No such file or directory", from: "fedserver")
    }
  }

  /// Skipped for root, which may open any file.
  @Test(.enabled(if: geteuid() != 0)) func aDatabaseOfSomebodyElse() async throws {
    try await withTemporaryFolder { folder in
      try Data().write(to: folder.appendingPathComponent("db"))
      #expect(chmod(folder.path("db"), 0) == 0)
      let server = try await Command.run(
        "fedserver", "run", try folder.plan(), "--listen", "127.0.0.1:0", "--database", folder.path("db"))
      expect(server, 7, "no permission to read and write it", from: "fedserver")
      let status = try await Command.run("fedserver", "status", "--database", folder.path("db"))
      expect(status, 7, "no permission to read it", from: "fedserver")
    }
  }

  @Test func aDatabaseOfAnotherPlan() async throws {
    try await withTemporaryFolder { folder in
      let run = ["--listen", "127.0.0.1:0", "--database", folder.path("db")]
      let server = try Command("fedserver", ["run", try folder.plan()] + run)
      _ = try await server.errors.line(containing: "waits for clients")
      server.terminate()
      _ = try await server.outcome()
      let other = try await Command("fedserver", ["run", try folder.plan("other.yaml", rounds: 3)] + run)
        .outcome()
      expect(
        other, 7, "the database belongs to the plan 'tiny', which is not this one: ",
        "method.roundsPerStage: 1 there, 3 here", from: "fedserver")
    }
  }

  @Test func aServerThatIsNotThere() async throws {
    let endpoint = try await Endpoint.closed()
    try await withTemporaryFolder { folder in
      let outcome = try await Command.run(
        "fedclient", "run", "--server", "\(endpoint)", "--name", "a", "--data", "shapes:16",
        "--state",
        folder.path("state"), "--patience", "1s")
      #expect(outcome.code == 5, "\(outcome)")
      // The attempts are log lines; the reason is the last line.
      let line = try #require(outcome.lines.last)
      #expect(line.hasPrefix("fedclient: ") && line.contains("\(endpoint)"), "\(line)")
    }
  }

  @Test func aServerThatTurnsTheClientAway() async throws {
    let listener = try await Listener(Endpoint(host: "127.0.0.1", port: 0))
    try await withTemporaryFolder { folder in
      let client = try Command(
        "fedclient",
        [
          "run", "--server", "\(listener.endpoint)", "--name", "a", "--data", "shapes:16", "--state",
          folder.path("state"),
        ])
      let connection = try await listener.accept(limit: 4096)
      _ = try await connection.receive()
      try await connection.send(.goodbye(.init(.rejected, "not today")))
      let outcome = try await client.outcome()
      #expect(outcome.code == 6, "\(outcome)")
      let line = try #require(outcome.lines.last)
      #expect(line.hasPrefix("fedclient: ") && line.contains("not today"), "\(line)")
      await connection.close()
    }
    listener.shutDown()
    listener.close()
  }

  @Test func aDatabaseThatIsNone() async throws {
    try await withTemporaryFolder { folder in
      try Data(repeating: 1, count: 9000).write(to: folder.appendingPathComponent("db"))
      let outcome = try await Command.run(
        "fedserver", "run", try folder.plan(), "--listen", "127.0.0.1:0", "--database", folder.path("db"))
      expect(outcome, 7, folder.path("db"), from: "fedserver")
    }
  }

  @Test func aFolderThatHoldsARun() async throws {
    try await withTemporaryFolder { folder in
      let run = [
        "run", try folder.plan(), "--clients", "2", "--data", "shapes:32", "--out", folder.path("out"),
      ]
      let first = try await Command("fedsim", run).outcome()
      #expect(first.code == 0, "\(first)")
      #expect(first.output.contains("summary.json"))
      let summary = try Data(contentsOf: URL(fileURLWithPath: folder.path("out/summary.json")))
      let second = try await Command("fedsim", run).outcome()
      expect(second, 7, folder.path("out"), "--overwrite", from: "fedsim")
      #expect(try Data(contentsOf: URL(fileURLWithPath: folder.path("out/summary.json"))) == summary)
      #expect(try await Command("fedsim", run + ["--overwrite"]).outcome().code == 0)
      #expect(try Data(contentsOf: URL(fileURLWithPath: folder.path("out/summary.json"))) != summary)
    }
  }

  @Test(arguments: ["fedserver", "fedclient", "fedsim"]) func anUnknownOption(command: String) async throws {
    let complete = [
      "fedserver": ["plan.yaml", "--database", "db"],
      "fedclient": ["--server", "x:1", "--name", "a", "--data", "shapes:16"],
      "fedsim": ["plan.yaml", "--data", "shapes:16", "--out", "out"],
    ]
    let outcome = try await Command(command, ["run"] + complete[command]! + ["--frobnicate"]).outcome()
    #expect(outcome.code == 64, "\(outcome)")
    #expect(outcome.lines.first?.contains("--frobnicate") == true, "\(outcome.errors)")
  }

  /// The error names the mistyped option, not the missing one.
  @Test func aMistypedOption() async throws {
    let outcome = try await Command.run("fedserver", "status", "--databse", "x", "--json")
    #expect(outcome.code == 64 && outcome.output.isEmpty, "\(outcome)")
    #expect(
      outcome.lines == [
        "Error: Unknown option '--databse'. Did you mean '--database'?",
        "Usage: fedserver status --database <file> [--json]",
        "  See 'fedserver status --help' for more information.",
      ])
    let missing = try await Command.run("fedserver", "status", "--json")
    #expect(missing.code == 64 && missing.errors.hasPrefix("Error: Missing expected argument '--database"))
  }

  @Test(arguments: [
    ["fedclient", "--server", "x:1", "--data", "shapes:16", "--name", "a b"],
    ["fedclient", "--server", "x:1", "--data", "shapes:16", "--name", "a", "--patience", "10"],
    ["fedclient", "--server", "x:1", "--data", "shapes:16", "--name", "a", "--threads", "0"],
    ["fedsim", "p", "--data", "shapes:16", "--out", "x", "--clients", "0"],
    ["fedsim", "p", "--data", "shapes:16", "--out", "x", "--cores", "0"],
    ["fedserver", "p", "--database", "x", "--threads", "1000"],
  ])
  func aValueOutOfBounds(arguments: [String]) async throws {
    let outcome = try await Command(arguments[0], ["run"] + arguments.dropFirst()).outcome()
    #expect(outcome.code == 64, "\(outcome)")
    #expect(outcome.lines.first?.contains(arguments[arguments.count - 2]) == true, "\(outcome.errors)")
  }
}
