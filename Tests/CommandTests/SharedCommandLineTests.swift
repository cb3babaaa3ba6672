import Foundation
import TestSupport
import Testing

/// Clients with the same command line, which differ in the environment that a scheduler provides.
@Suite(.unhurried) struct SharedCommandLineTests {
  /// How the task with an index is started.
  struct Launch: Sendable, CustomTestStringConvertible {
    let kind: String
    let arguments: @Sendable (Int) -> [String]
    let environment: @Sendable (Int) -> [String: String]
    let testDescription: String
  }

  static let launches = [
    Launch(
      kind: "even", arguments: { _ in ["--partition", "auto"] },
      environment: { ["SLURM_STEP_ID": "0", "SLURM_PROCID": "\($0)", "SLURM_STEP_NUM_TASKS": "4"] },
      testDescription: "srun"),
    Launch(
      kind: "dirichlet:0.5", arguments: { _ in ["--partition", "auto:dirichlet:0.5"] },
      environment: { ["OMPI_COMM_WORLD_RANK": "\($0)", "OMPI_COMM_WORLD_SIZE": "4"] },
      testDescription: "mpirun"),
    Launch(
      kind: "sorted:2", arguments: { _ in ["--partition", "auto:sorted:2", "--name", "client"] },
      environment: { ["JOB_COMPLETION_INDEX": "\($0)", "STRATA_CLIENTS": "4"] }, testDescription: "Kubernetes"
    ),
    Launch(
      kind: "even", arguments: { ["--partition", "even", "--share", "\($0)/4"] }, environment: { _ in [:] },
      testDescription: "by hand"),
  ]

  private func startServer(_ folder: URL, _ plan: String, _ options: [String] = []) async throws -> (
    Command, String
  ) {
    let server = try Command(
      "fedserver",
      ["run", plan, "--listen", "127.0.0.1:0", "--database", folder.path("strata.sqlite")] + options)
    let line = try await server.errors.line(containing: "listening on ")
    return (server, String(try #require(line.split(separator: " ").last)))
  }

  /// The encoder is bit-identical only if every client had the same images and name.
  @Test(arguments: launches) func aFederationOfTasksIsTheSimulationOfAsMany(launch: Launch) async throws {
    try await withTemporaryFolder { folder in
      let plan = try folder.plan(rounds: 2, clients: 4, extra: "seed: 5")
      let simulation = try await Command.run(
        "fedsim", "run", plan, "--clients", "4", "--data", "shapes:180", "--partition", launch.kind, "--out",
        folder.path("out"))
      #expect(simulation.code == 0, "\(simulation)")
      let summary = try String(contentsOfFile: folder.path("out/summary.json"), encoding: .utf8)
      let expected = try #require(summary.firstMatch(of: /"encoderDigest" ?: ?"([0-9a-f]{64})"/)).1

      let (server, address) = try await startServer(folder, plan)
      let clients = try (0..<4).map { index in
        try Command(
          "fedclient",
          [
            "run", "--server", address, "--data", "shapes:180", "--state", folder.path("states"), "--threads",
            "1",
          ] + launch.arguments(index), environment: launch.environment(index))
      }
      for (index, client) in clients.enumerated() {
        let outcome = try await client.outcome()
        #expect(outcome.code == 0, "\(outcome)")
        #expect(
          outcome.errors.contains("client-\(index): share \(index)/4, \(launch.kind), from "),
          "\(outcome.errors)")
      }
      let outcome = try await server.outcome()
      #expect(outcome.output == "encoder \(expected)\n")
      let states = try FileManager.default.contentsOfDirectory(atPath: folder.path("states")).sorted()
      #expect(states == (0..<4).map { "client-\($0)" })
    }
  }

  @Test func eachTaskTakesTheCertificateOfItsName() async throws {
    try await withTemporaryFolder { folder in
      let tls = ["--tls", folder.path("tls")]
      for words in [["authority"], ["server", "coordinator.example"]] {
        #expect(try await Command("fedserver", ["certificate"] + words + tls).outcome().code == 0)
      }
      for name in ["device-0", "device-1"] {
        let made = ["certificate", "client", name, "--out", folder.path("clients/\(name)")] + tls
        #expect(try await Command("fedserver", made).outcome().code == 0)
      }
      let (server, address) = try await startServer(folder, try folder.plan(), tls)
      func start(_ index: Int, _ certificates: String, of count: Int = 2) throws -> Command {
        try Command(
          "fedclient",
          [
            "run", "--server", address, "--name", "device", "--data", "shapes:64", "--state",
            folder.path("states"),
            "--threads", "1", "--partition", "auto", "--tls", folder.path(certificates),
          ], environment: ["PMI_RANK": "\(index)", "PMI_SIZE": "\(count)"])
      }
      let outsider = try await start(2, "clients", of: 3).outcome()
      #expect(outsider.code == 7, "\(outsider)")
      #expect(outsider.lines.last?.contains("clients/device-2/") == true, "\(outsider)")
      let clients = try [start(0, "clients"), start(1, "clients")]
      for client in clients { #expect(try await client.outcome().code == 0) }
      #expect(try await server.outcome().code == 0)
    }
  }

  /// A command line, an environment, the exit code, and the text in the message.
  @Test(arguments: [
    (
      ["--partition", "auto"], ["SLURM_JOB_ID": "1", "SLURM_PROCID": "0", "SLURM_NTASKS": "4"], 64,
      "SLURM_STEP_ID"
    ),
    (["--partition", "auto"], ["PMI_RANK": "4", "PMI_SIZE": "4"], 64, "PMI_RANK is 4"),
    (["--partition", "auto"], ["JOB_COMPLETION_INDEX": "0"], 64, "STRATA_CLIENTS is not"),
    (["--partition", "auto", "--share", "0/2"], [:], 64, "--share"),
    (["--partition", "even"], [:], 64, "--share"), (["--share", "0/2"], [:], 64, "--partition"),
    (["--partition", "even", "--share", "2/2"], [:], 64, "--share"), ([], [:], 64, "--name"),
    (["--partition", "auto:odd"], ["PMI_RANK": "0", "PMI_SIZE": "2"], 3, "'odd'"),
    (["--partition", "auto:"], ["PMI_RANK": "0", "PMI_SIZE": "2"], 3, "''"),
    (["--partition", "odd", "--share", "0/2"], [:], 3, "auto:KIND"),
    (["--partition", "auto"], ["PMI_RANK": "0", "PMI_SIZE": "9"], 3, "16 images are too few for 9 clients"),
    (["--partition", "auto:sorted:9"], ["PMI_RANK": "0", "PMI_SIZE": "2"], 3, "9 shards"),
    (
      ["--partition", "auto", "--name", String(repeating: "n", count: 63)],
      ["PMI_RANK": "0", "PMI_SIZE": "2"], 64,
      "64 characters"
    ),
  ])
  func aMistakeHasOneLine(
    arguments: [String], environment: [String: String], code: Int, problem: String
  ) async throws {
    try await withTemporaryFolder { folder in
      let outcome = try await Command(
        "fedclient",
        ["run", "--server", "127.0.0.1:1", "--data", "shapes:16", "--state", folder.path("states")]
          + arguments,
        environment: environment
      ).outcome()
      #expect(outcome.code == code, "\(outcome)")
      #expect(outcome.lines.first?.contains(problem) == true, "\(outcome.errors)")
      #expect(!FileManager.default.fileExists(atPath: folder.path("states")), "something was begun")
    }
  }
}
