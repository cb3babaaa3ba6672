import Foundation
import TestSupport
import Testing

@Suite(.unhurried) struct PartitionCommandTests {
  @Test func aTableAPageAndFilesAreWritten() async throws {
    try await withTemporaryFolder { folder in
      let outcome = try await Command.run(
        "fedsim", "partition", "--data", "shapes:400", "--clients", "5", "--partition", "shards:2", "--seed",
        "3",
        "--html", folder.path("page.html"), "--csv", folder.path("counts.csv"))
      #expect(outcome.code == 0 && outcome.errors.isEmpty, "\(outcome)")
      #expect(outcome.output.contains("classes   2 of 10 a client"), "\(outcome.output)")
      #expect(try String(contentsOfFile: folder.path("page.html"), encoding: .utf8).contains("client-4"))
      let lines = try String(contentsOfFile: folder.path("counts.csv"), encoding: .utf8).split(
        separator: "\n")
      #expect(lines.count == 6)
      let json = try await Command.run(
        "fedsim", "partition", "--data", "shapes:400", "--clients", "5", "--partition", "shards:2", "--json")
      #expect(json.output.contains("\"partition\" : \"shards:2\""), "\(json.output)")
    }
  }

  @Test(arguments: [
    (["--data", "shapes:400", "--clients", "0"], 64, "--clients is 1 to 10000"),
    (["--data", "shapes:400", "--partition", "odd"], 3, "accepted: even"),
    (["--data", "shapes:400", "--partition", "shards:2"], 3, "at least 5 clients are needed"),
    (["--data", "shapes:400", "--partition", "community"], 3, "images have no edges"),
    (["--data", "sbm:100", "--partition", "noise:1"], 3, "not to nodes"),
    (["--data", "shapes:400", "--html", "/nowhere/x.html"], 7, "/nowhere"),
  ])
  func aMistakeIsOneLine(options: [String], code: Int32, text: String) async throws {
    let outcome = try await Command("fedsim", ["partition"] + options).outcome()
    #expect(outcome.code == code && outcome.errors.contains(text), "\(outcome)")
    if code != 64 { #expect(outcome.errors.split(separator: "\n").count == 1) }
  }
}
