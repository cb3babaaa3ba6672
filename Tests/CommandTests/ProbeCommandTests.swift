import Foundation
import TestSupport
import Testing
import Wire

/// `fedserver run --probe-data`, with the daemons as separate processes.
@Suite(.unhurried) struct ProbeCommandTests {
  private func server(_ folder: URL, _ options: String...) throws -> Command {
    try Command(
      "fedserver",
      [
        "run", try folder.plan(rounds: 1), "--listen", "127.0.0.1:0", "--database",
        folder.path("strata.sqlite"),
      ] + options)
  }

  @Test func aServerWithLabelledImagesTellsWhatTheEncoderIsWorth() async throws {
    try await withTemporaryFolder { folder in
      let server = try server(
        folder, "--probe-data", "shapes:60", "--probe-test-data", "shapes:40", "--analyse", "renyi,pca",
        "--analyse-samples", "20")
      let words = "listening on "
      let line = try await server.errors.line(containing: words)
      let address = try #require(line.components(separatedBy: words).last)
      let clients = try ["one", "two"].map { name in
        try Command(
          "fedclient",
          [
            "run", "--server", address, "--name", name, "--data", "shapes:32", "--state", folder.path(name),
            "--threads", "1", "--patience", Unhurried.patience,
          ])
      }
      for client in clients { #expect(try await client.outcome().code == 0) }
      let outcome = try await server.outcome()
      #expect(outcome.code == 0 && outcome.errors.contains("linear probe accuracy"), "\(outcome)")
      let listed = try await Command.run(
        "fedserver", "rounds", "--database", folder.path("strata.sqlite"), "--json")
      let rounds = try JSONSerialization.jsonObject(with: Data(listed.output.utf8)) as? [[String: Any]]
      let last = try #require(rounds?.last?["probe"] as? Double, "\(listed)")
      #expect(outcome.errors.contains("layers analysed on 20 samples"), "\(outcome)")
      let csv = try await Command.run(
        "fedserver", "rounds", "--database", folder.path("strata.sqlite"), "--csv")
      #expect(
        csv.output.contains(",input~blocks.0,renyiPair,") && csv.output.contains(",blocks.0,renyiLabel,"))
      let report = try await Command.run(
        "fedserver", "report", "--database", folder.path("strata.sqlite"), "--out", folder.path("report.html")
      )
      let page = try String(contentsOfFile: folder.path("report.html"), encoding: .utf8)
      #expect(
        report.code == 0 && page.contains("What each layer knows") && page.contains("% of the variance"))
      #expect((0...1).contains(last) && outcome.errors.contains(String(format: "%.1f %%", 100 * last)))
    }
  }

  @Test func imagesThatNoProbeCanBeTakenOfAreNamed() async throws {
    try await withTemporaryFolder { folder in
      let alone = try await server(folder, "--probe-data", "shapes:60").outcome()
      #expect(alone.code == 64 && alone.errors.contains("need each other"), "\(alone)")
      let gone = try await server(
        folder, "--probe-data", "shapes:60", "--probe-test-data", "cifar10:\(folder.path("nowhere"))"
      ).outcome()
      #expect(gone.code == 3 && gone.lines.count == 1, "\(gone)")
      #expect(gone.errors.contains("--probe-test-data") && gone.errors.contains("nowhere"), "\(gone)")
    }
  }
}
