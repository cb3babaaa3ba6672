import Engine
import Export
import Federation
import Foundation
import TestSupport
import Testing

/// `fedserver export`, from finished runs and while a server runs.
@Suite(.unhurried) struct ExportCommandTests {
  private func export(_ database: String, _ more: String...) async throws -> Command.Outcome {
    try await Command("fedserver", ["export", "--database", database] + more).outcome()
  }

  /// Creates a finished run of two stages in the folder `out`.
  private func withRun(_ body: (_ folder: URL, _ database: String) async throws -> Void) async throws {
    try await withTemporaryFolder { folder in
      let run = try await Command.run(
        "fedsim", "run", try folder.plan(), "--clients", "2", "--data", "shapes:64", "--out",
        folder.path("out"))
      #expect(run.code == 0, "\(run)")
      try await body(folder, folder.path("out/strata.sqlite"))
    }
  }

  private func data(_ folder: URL, _ name: String) throws -> Data {
    try Data(contentsOf: folder.appendingPathComponent(name))
  }

  @Test func theFileIsTheOneThatARunLeaves() async throws {
    try await withRun { folder, database in
      let outcome = try await export(
        database, "--format", "safetensors", "--out", folder.path("encoder"))
      #expect(outcome.code == 0 && outcome.errors.isEmpty, "\(outcome)")
      #expect(outcome.output == "\(folder.path("encoder")): stage 2 round 1, depth 2, 24 numbers an image\n")
      #expect(try data(folder, "encoder") == data(folder, "out/encoder.safetensors"))
      let checkpoint = try EncoderCheckpoint(parsing: data(folder, "encoder"))
      #expect(checkpoint.origin == .init(plan: "tiny", stage: 2, round: 1))
      let onnx = try await export(database, "--format", "onnx", "--out", folder.path("encoder"))
      #expect(onnx.code == 0, "\(onnx)")
      #expect(try data(folder, "encoder") == checkpoint.onnx(), "the old file is replaced")
      let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
      #expect(Set(names) == ["plan.yaml", "out", "encoder"], "nothing else is left")
    }
  }

  @Test func anEarlierStageIsAsDeepAsItWas() async throws {
    try await withRun { folder, database in
      let outcome = try await export(
        database, "--stage", "1", "--round", "1", "--format", "safetensors", "--out",
        folder.path("one"))
      #expect(outcome.code == 0, "\(outcome)")
      let checkpoint = try EncoderCheckpoint(parsing: data(folder, "one"))
      #expect(checkpoint.configuration.depth == 1)
      #expect(checkpoint.origin == .init(plan: "tiny", stage: 1, round: 1))
    }
  }

  /// The server is not affected.
  @Test func aRunningServerIsNotDisturbed() async throws {
    try await withTemporaryFolder { folder in
      let server = try Command(
        "fedserver",
        [
          "run", try folder.plan(rounds: 1000), "--listen", "127.0.0.1:0", "--database", folder.path("db"),
        ])
      let line = try await server.errors.line(containing: "listening on ")
      let address = String(try #require(line.split(separator: " ").last))
      let clients = try (1...2).map { number in
        try Command(
          "fedclient",
          [
            "run", "--server", address, "--name", "device-\(number)", "--data", "shapes:32", "--state",
            folder.path("device-\(number)"), "--threads", "1",
          ])
      }
      _ = try await server.errors.line(containing: "stage 1 round 1 is committed")
      var last = 0
      for format in ["safetensors", "onnx", "safetensors"] {
        let outcome = try await export(
          folder.path("db"), "--format", format, "--out", folder.path("encoder"))
        #expect(outcome.code == 0, "\(outcome)")
        guard format == "safetensors" else { continue }
        let origin = try #require(try EncoderCheckpoint(parsing: data(folder, "encoder")).origin)
        #expect(origin.stage == 1 && origin.round > last)
        last = origin.round
        _ = try await server.errors.line(containing: "round \(last + 3) is committed")
      }
      server.terminate()
      let outcome = try await server.outcome()
      #expect(outcome.code == 0 && !outcome.errors.contains("abandoned"), "\(outcome)")
      for client in clients {
        client.terminate()
        _ = try await client.outcome()
      }
    }
  }

  @Test func whatCannotBeExportedHasOneLine() async throws {
    try await withRun { folder, database in
      let out = folder.path("encoder")
      #expect(mkfifo(folder.path("fifo"), 0o600) == 0)
      for (arguments, text) in [
        ([folder.path("none"), "--out", out], "there is no such file"),
        ([folder.path("plan.yaml"), "--out", out], "plan.yaml: "),
        ([database, "--out", out, "--stage", "3"], "stage 3 is not committed; the last is stage 2 round 1"),
        ([database, "--out", out, "--stage", "1", "--round", "9"], "stage 1 round 9 is not committed"),
        ([database, "--out", folder.path("none/encoder")], "/none: No such file or directory"),
        ([database, "--out", database], "it belongs to the database"),
        ([database, "--out", folder.path], "\(folder.path): it exists and is not a regular file"),
        ([database, "--out", folder.path("fifo")], "fifo: it exists and is not a regular file"),
      ] {
        let outcome = try await Command(
          "fedserver", ["export", "--format", "onnx", "--database"] + arguments
        ).outcome()
        #expect(outcome.code == 7 && outcome.lines.count == 1 && outcome.output.isEmpty, "\(outcome)")
        #expect(outcome.errors.hasPrefix("fedserver: ") && outcome.errors.contains(text), "\(outcome)")
      }
      #expect(!FileManager.default.fileExists(atPath: out))
      #expect(FileManager.default.fileExists(atPath: folder.path("fifo")), "it is still there")
      let report = try await Command.run("fedserver", "report", "--database", database, "--out", database)
      #expect(report.code == 7 && report.lines.count == 1 && report.output.isEmpty, "\(report)")
      #expect(try await Command.run("fedserver", "status", "--database", database).code == 0)
    }
  }

  @Test(arguments: [
    ["--format", "pickle"], [], ["--format", "onnx", "--round", "1"],
    ["--format", "onnx", "--stage", "0"], ["--format", "onnx", "--stage", "1", "--round", "0"],
  ])
  func aWrongCommandLine(arguments: [String]) async throws {
    let outcome = try await Command("fedserver", ["export", "--database", "x", "--out", "y"] + arguments)
      .outcome()
    #expect(outcome.code == 64 && outcome.output.isEmpty, "\(outcome)")
  }
}
