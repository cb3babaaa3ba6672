import Foundation
import TestSupport
import Testing

/// `fedclient check`: its report on images, and what `--strict` rejects.
@Suite(.unhurried) struct CheckDataTests {
  /// A grey PNG of 2 x 2 white pixels.
  private static let image = Data(
    base64Encoded:
      "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAAAAABX3VL4AAAADklEQVR4nGP4/5/h/38AC/oD/eAlihAAAAAASUVORK5CYII=")

  /// Creates two classes of three images each.
  private func folder(_ place: URL) throws -> String {
    let image = try #require(Self.image)
    for name in ["cat/1", "cat/2", "cat/3", "dog/1", "dog/2", "dog/3"] {
      let file = place.appendingPathComponent("images/\(name).png")
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try image.write(to: file)
    }
    return place.path("images")
  }

  private struct Report: Decodable {
    struct Data: Decodable {
      struct Broken: Decodable { let path, reason: String }
      struct Class: Decodable {
        let name: String
        let count: Int
      }

      let images, grey: Int
      let classes: [Class]
      let broken: [Broken]
    }

    struct Stage: Decodable {
      let stage, rounds, batch, steps, memoryBytes: Int
      let secondsPerRound: Double?
      let problem: String?
    }

    let data: Data
    let stages: [Stage]
    let sheet: String?
  }

  private func report(_ outcome: Command.Outcome) throws -> Report {
    try JSONDecoder().decode(Report.self, from: Data(outcome.output.utf8))
  }

  @Test func countsClassesAndWritesASheet() async throws {
    try await withTemporaryFolder { place in
      let (images, sheet) = (try folder(place), place.path("sheet.png"))
      let outcome = try await Command.run(
        "fedclient", "check", "--data", "folder:\(images)", "--sheet", sheet, "--json")
      #expect(outcome.code == 0 && outcome.errors.isEmpty, "\(outcome)")
      let report = try report(outcome)
      #expect(report.data.images == 6 && report.data.grey == 6 && report.data.broken.isEmpty)
      #expect(report.data.classes.map(\.name) == ["cat", "dog"])
      #expect(report.sheet == sheet && report.stages.isEmpty)
      let file = try Data(contentsOf: URL(fileURLWithPath: sheet))
      #expect(file.starts(with: [0x89, 0x50, 0x4E, 0x47]))
      let table = try await Command.run("fedclient", "check", "--data", "folder:\(images)")
      #expect(table.output.contains("images    6, 6 of them grey\n"), "\(table)")
      #expect(table.output.contains("dog  3\n") && table.output.contains("broken    none\n"), "\(table)")
    }
  }

  private struct GraphData: Decodable {
    struct Data: Decodable { let nodes, edges, train, cut: Int }
    let data: Data
    let stages: [Report.Stage]
    let takesPart: Bool?
  }

  @Test func aGraphIsSummarised() async throws {
    try await withTemporaryFolder { place in
      let plan = place.appendingPathComponent("plan.yaml")
      try Data(
        """
        encoder: {family: gcn, features: 100, width: 8, depth: 2}
        method: {objective: classification, classification: {classes: 7}}
        """.utf8
      ).write(to: plan)
      func check(_ options: String...) async throws -> Command.Outcome {
        try await Command("fedclient", ["check", "--data", "sbm:200?seed=2"] + options).outcome()
      }
      let table = try await check()
      #expect(table.code == 0 && table.errors.isEmpty, "\(table)")
      for words in [
        "nodes     200\n", "features  100, sparse\n", "labelled  200, 0 without a label\n",
        "training    120 (60.0 %)",
      ] {
        #expect(table.output.contains(words), "\(table.output)")
      }
      let whole = try JSONDecoder().decode(
        GraphData.self, from: Data(try await check("--plan", plan.path, "--json").output.utf8))
      #expect(whole.data.nodes == 200 && whole.data.train == 120 && whole.data.cut == 0)
      #expect(whole.stages.map(\.batch) == [120, 120] && whole.takesPart == nil)
      let share = try JSONDecoder().decode(
        GraphData.self,
        from: Data(
          try await check("--plan", plan.path, "--partition", "community", "--share", "1/4", "--json").output
            .utf8))
      #expect(share.data.nodes == 50 && share.data.cut > 0 && share.data.edges < whole.data.edges)
      let sheet = try await check("--sheet", place.path("sheet.png"))
      #expect(
        sheet.code == 64 && sheet.errors.contains("--sheet shows images, and sbm:200?seed=2 is a graph"))
    }
  }

  @Test func aGraphWithoutLabelsForTrainingTakesNoPart() async throws {
    try await withTemporaryFolder { place in
      for (name, text) in [
        ("edges.csv", "0,1\n1,2\n2,2\n1,0\n"), ("features.csv", "1\n2\n3\n"), ("labels.csv", "0\n1\n\n"),
        ("test.csv", "0\n1\n"),
        (
          "plan.yaml",
          "encoder: {family: gcn, features: 1, width: 8, depth: 1}\nmethod: {objective: classification, classification: {classes: 2}}\n"
        ),
      ] {
        try Data(text.utf8).write(to: place.appendingPathComponent(name))
      }
      let outcome = try await Command.run(
        "fedclient", "check", "--data", "graph:\(place.path)", "--plan", place.path("plan.yaml"))
      #expect(outcome.code == 0 && outcome.output.contains("takes no part"), "\(outcome)")
      #expect(outcome.output.contains("dropped   1 self loop, 0 repeated and 1 reversed edges"), "\(outcome)")
    }
  }

  /// The sheet replaces only a regular file; any other path is rejected before an image is read.
  @Test func aSheetIsNotWrittenThroughALink() async throws {
    try await withTemporaryFolder { place in
      try Data("kept".utf8).write(to: place.appendingPathComponent("target"))
      #expect(symlink(place.path("target"), place.path("link")) == 0)
      #expect(mkfifo(place.path("fifo"), 0o600) == 0)
      for name in ["link", "fifo", "none/sheet"] {
        let outcome = try await Command.run(
          "fedclient", "check", "--data", "folder:\(place.path("nowhere"))", "--sheet", place.path(name))
        #expect(outcome.code == 7 && outcome.lines.count == 1 && outcome.output.isEmpty, "\(outcome)")
        #expect(outcome.errors.hasPrefix("fedclient: \(place.path(name)): it"), "\(outcome.errors)")
      }
      #expect(try String(contentsOfFile: place.path("target"), encoding: .utf8) == "kept")
    }
  }

  @Test func aBrokenFileIsCountedAndNamedOrRejected() async throws {
    try await withTemporaryFolder { place in
      let images = try folder(place)
      let (broken, plan) = (images + "/dog/2.png", try place.plan())
      try #require(Self.image).dropLast(20).write(to: URL(fileURLWithPath: broken))
      let outcome = try await Command.run("fedclient", "check", "--data", "folder:\(images)", "--json")
      #expect(outcome.code == 0)
      #expect(try report(outcome).data.broken.map(\.path) == [broken])
      let data = ["--data", "folder:\(images)", "--strict"]
      for command in [
        ["fedclient", "check"], ["fedclient", "run", "--server", "127.0.0.1:1", "--name", "a"],
        ["fedsim", "run", plan, "--clients", "2", "--out", place.path("out")],
      ] {
        let rejected = try await Command(command[0], command.dropFirst() + data).outcome()
        #expect(rejected.code == 3 && rejected.output.isEmpty && rejected.lines.count == 1, "\(rejected)")
        #expect(
          rejected.errors.contains("1 broken file is rejected: \(broken): "),
          "\(rejected)")
      }
    }
  }

  @Test func aRunLeavesABrokenFileOutAndSaysSo() async throws {
    try await withTemporaryFolder { place in
      let images = try folder(place)
      let broken = images + "/cat/3.png"
      try Data("no image".utf8).write(to: URL(fileURLWithPath: broken))
      let outcome = try await Command.run(
        "fedsim", "run", try place.plan(), "--clients", "2", "--data", "folder:\(images)", "--out",
        place.path("out"))
      #expect(outcome.code == 0, "\(outcome)")
      let line = "1 broken file is left out: \(broken): it is neither JPEG nor PNG"
      #expect(outcome.lines.count { $0 == line } == 1, "\(outcome)")
    }
  }

  @Test func aPlansStagesAreTimed() async throws {
    try await withTemporaryFolder { place in
      let plan = try place.plan(rounds: 3)
      let check = ["check", "--data", "shapes:64", "--plan", plan, "--json"]
      let report = try report(try await Command("fedclient", check).outcome())
      #expect(report.stages.map(\.stage) == [1, 2] && report.stages.allSatisfy { $0.rounds == 3 })
      for stage in report.stages {
        #expect(stage.memoryBytes > 1_000_000 && (stage.secondsPerRound ?? 0) > 0 && stage.problem == nil)
        #expect(stage.steps >= 1 && stage.batch <= 64)
      }
      let small = try await Command("fedclient", check + ["--memory", "1MB"]).outcome()
      #expect(small.code == 10 && small.lines.count == 1, "\(small)")
      #expect(small.errors.contains("stage 1: this stage needs"), "\(small)")
      #expect(try self.report(small).stages.allSatisfy { $0.secondsPerRound == nil })
    }
  }

  /// With fewer than two images no connection is tried, not even to an address without a listener. Both commands report
  /// the same error.
  @Test func tooFewImagesAreKnownBeforeAServerIsLookedFor() async throws {
    try await withTemporaryFolder { place in
      let (images, plan) = (try folder(place), try place.plan())
      let whole = try #require(Self.image)
      func files(_ names: [String]) throws {
        for name in names { try whole.dropLast(20).write(to: URL(fileURLWithPath: "\(images)/\(name).png")) }
      }
      // One is selected; all but one are damaged after their headers; all are damaged.
      try files(["cat/2", "cat/3", "dog/1", "dog/2", "dog/3"])
      for (spec, share, text) in [
        ("folder:\(images)?limit=1", [], "one image can be read, and two are needed"),
        ("folder:\(images)", [], "one image can be read, and two are needed: 5 broken files are left out: "),
        ("folder:\(images)?skip=1", [], "no image can be read, and two are needed: 5 broken files"),
        ("shapes:1", [], "one image can be read, and two are needed"),
        (
          "shapes:7", ["--partition", "even", "--share", "0/4"],
          "partition even: 7 images are too few for 4 clients of at least 2"
        ),
      ] as [(String, [String], String)] {
        let run = try await Command(
          "fedclient",
          ["run", "--server", "127.0.0.1:1", "--name", "a", "--data", spec, "--state", place.path("s")]
            + share
        ).outcome()
        #expect(run.code == 3 && run.lines.count == 1 && run.errors.contains(text), "\(run)")
        let check = try await Command(
          "fedclient", ["check", "--data", spec] + (share.isEmpty ? [] : ["--plan", plan] + share)
        ).outcome()
        #expect(check.code == 3 && check.lines.count == 1 && check.errors.contains(text), "\(check)")
      }
      let share = try await Command.run(
        "fedclient", "check", "--data", "shapes:8", "--plan", plan, "--partition", "even", "--share", "3/4",
        "--json")
      #expect(try share.code == 0 && report(share).data.images == 2, "\(share)")
    }
  }

  /// Root can read every folder, so the command runs as another user here.
  @Test func whatMayNotBeReadIsNamedWhereItIs() async throws {
    try await withTemporaryFolder { place in
      let images = try folder(place)
      func check() async throws -> Command.Outcome {
        let command = Command.folder.appendingPathComponent("fedclient").path
        let arguments = [command, "check", "--data", "folder:\(images)"]
        let asNobody = ["/usr/bin/setpriv", "--reuid=65534", "--clear-groups"] + arguments
        let words = geteuid() == 0 ? asNobody : arguments
        return try await Command(words[0], words.dropFirst()).outcome()
      }
      func allow(_ name: String, _ mode: mode_t) {
        #expect(chmod(name.isEmpty ? images : "\(images)/\(name)", mode) == 0)
      }
      #expect(chmod(place.path, 0o755) == 0)
      defer { for name in ["", "dog"] { allow(name, 0o755) } }
      // Names can be listed, but the files cannot be opened.
      for mode in [0o444, 0o111] as [mode_t] {
        allow("dog", mode)
        let outcome = try await check()
        #expect(outcome.code == 0 && outcome.output.contains("images    3, "), "\(outcome)")
        #expect(
          outcome.output.contains("broken    1, left out\n          \(images)/dog: Permission denied\n"),
          "\(outcome)")
      }
      allow("dog", 0o755)
      for mode in [0o444, 0o111] as [mode_t] {
        allow("", mode)
        let outcome = try await check()
        #expect(
          outcome.code == 3 && outcome.lines == ["fedclient: \(images): cannot be read: Permission denied"],
          "\(outcome)")
      }
    }
  }

  @Test func whatCannotBeCheckedIsSaidInOneLine() async throws {
    for (arguments, code, text) in [
      (["--data", "folder:/dev/null"], 3, "/dev/null: is not a directory"),
      (["--data", "shapes:8", "--plan", "/nowhere.yaml"], 2, "/nowhere.yaml"),
      (["--data", "shapes:8", "--sheet", "/dev/null/a.png"], 7, "/dev/null/a.png: Not a directory"),
      (["--data", "foldr:x"], 3, "did you mean folder?"),
    ] as [([String], Int32, String)] {
      let outcome = try await Command("fedclient", ["check"] + arguments).outcome()
      #expect(outcome.code == code && outcome.lines.count == 1 && outcome.output.isEmpty, "\(outcome)")
      #expect(outcome.errors.contains(text), "\(outcome)")
    }
  }
}
