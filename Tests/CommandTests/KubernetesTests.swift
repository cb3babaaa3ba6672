import Federation
import Foundation
import PageChecks
import TestSupport
import Testing
import Wire

/// The containers' command lines, with the environment and files that Kubernetes provides, but without Kubernetes.
@Suite(.unhurried) struct KubernetesTests {
  private let server: KubernetesManifests.Container
  private let identity: KubernetesManifests.Container
  private let client: KubernetesManifests.Container
  private let job: KubernetesManifests.Job
  private let plan = KubernetesManifests.package.appendingPathComponent("deploy/plans/cluster.yaml")

  init() throws {
    server = try #require(try KubernetesManifests.job("server.yaml").main.first)
    job = try KubernetesManifests.job("clients.yaml")
    (identity, client) = (try #require(job.initial.first), try #require(job.main.first))
  }

  @Test func thereAreAsManyPodsAsSharesAndAsThePlanWants() throws {
    let count = try #require(job.completions)
    #expect(job.isIndexed && job.parallelism == count)
    for container in [identity, client] {
      #expect(container.environment["STRATA_CLIENTS"] == "\(count)", "\(container.name)")
    }
    let round = try Plan(yaml: try String(contentsOf: plan, encoding: .utf8), file: plan.path).round
    #expect(round.cohort == count && round.quorum == count)
  }

  /// Runs a container with its mounts in a folder of the test; `instead` replaces addresses.
  private func start(
    _ container: KubernetesManifests.Container, in root: URL, pod: Int? = nil, instead: [String: String] = [:]
  ) throws -> Command {
    func here(_ word: String) -> String {
      // The folder's path may contain a mount path.
      let marked = container.mounts.values.reduce(word) { $0.replacing($1, with: "\u{1}\($1)") }
      let moved = marked.replacing("\u{1}", with: root.path)
      return instead.reduce(moved) { $0.replacing($1.key, with: $1.value) }
    }
    var environment = container.environment
    if let pod { environment["JOB_COMPLETION_INDEX"] = "\(pod)" }
    // In the image this is a system command.
    let program = container.words[0] == "sh" ? "/bin/sh" : container.words[0]
    return try Command(program, container.words.dropFirst().map(here), environment: environment)
  }

  private func makeCertificates(_ clients: Int, _ folder: URL) async throws -> Command.Outcome {
    let script = KubernetesManifests.package.appendingPathComponent("deploy/kubernetes/make-certificates.sh")
    let search = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    return try await Command(
      "/bin/bash", [script.path, "\(clients)", folder.path],
      environment: ["PATH": "\(Command.folder.path):\(search)"]
    ).outcome()
  }

  @Test func thePodsRunAFederationToItsEnd() async throws {
    try await withTemporaryFolder { folder in
      let count = try #require(job.completions)
      let made = try await makeCertificates(count, folder.appendingPathComponent("secrets"))
      #expect(made.code == 0, "\(made)")
      func mount(_ files: String, _ volume: String, _ container: KubernetesManifests.Container, pod: String)
        throws
      {
        let place = try #require(container.mounts[volume])
        try KubernetesManifests.mount(
          folder.appendingPathComponent(files), at: folder.appendingPathComponent(pod + place))
      }
      func create(_ volumes: String..., of container: KubernetesManifests.Container, pod: String) throws {
        for volume in volumes {
          let path = folder.path(pod + (try #require(container.mounts[volume])))
          try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }
      }

      try FileManager.default.createDirectory(atPath: folder.path("plan"), withIntermediateDirectories: true)
      try FileManager.default.copyItem(atPath: plan.path, toPath: folder.path("plan/plan.yaml"))
      try mount("plan", "plan", server, pod: "server")
      try mount("secrets/server", "tls", server, pod: "server")
      try create("state", of: server, pod: "server")
      let coordinator = try start(
        server, in: folder.appendingPathComponent("server"),
        instead: ["0.0.0.0:7400": "127.0.0.1:0", "0.0.0.0:8080": "127.0.0.1:0"])
      let listening = try await coordinator.errors.line(containing: "listening on ")
      let address = String(try #require(listening.split(separator: " ").last))
      let watched = try await coordinator.errors.line(containing: "status page at http://")
      let page = try #require(watched.components(separatedBy: "http://").last).trimmingCharacters(in: [
        "/", " ",
      ])
      let health = try await WebPeer(try Endpoint(parsing: page)).get(try #require(server.health))
      #expect(health.status == 200)

      var pods: [Command] = []
      for index in 0..<count {
        let (pod, root) = ("client-\(index)", folder.appendingPathComponent("client-\(index)"))
        try mount("secrets/clients", "keys", identity, pod: pod)
        try create("tls", "state", of: client, pod: pod)
        let prepared = try await start(identity, in: root, pod: index).outcome()
        #expect(prepared.code == 0, "\(prepared)")
        let keys = try FileManager.default.subpathsOfDirectory(
          atPath: root.path + (try #require(client.mounts["tls"])))
        #expect(
          keys.filter { $0.hasSuffix(".key") } == ["client-\(index)/client.key"], "it sees another's key")
        pods.append(try start(client, in: root, pod: index, instead: ["strata-server:7400": address]))
      }
      for (index, pod) in pods.enumerated() {
        let outcome = try await pod.outcome()
        #expect(outcome.code == 0, "\(outcome)")
        #expect(
          outcome.errors.contains("client-\(index): share \(index)/\(count), even, from JOB_COMPLETION_INDEX")
        )
      }
      let outcome = try await coordinator.outcome()
      #expect(outcome.code == 0 && outcome.output.hasPrefix("encoder "), "\(outcome)")
    }
  }

  /// The container's shell and fedclient use the same names, also with leading zeros.
  @Test(arguments: [
    ("1", 0, "client-0"), ("10", 9, "client-9"), ("11", 3, "client-03"), ("101", 100, "client-100"),
  ])
  func aPodFindsTheKeysOfItsName(clients: String, index: Int, name: String) async throws {
    try await withTemporaryFolder { folder in
      for file in ["authority.crt", "\(name).crt", "\(name).key"] {
        try FileManager.default.createDirectory(
          atPath: folder.path("etc/strata/clients"), withIntermediateDirectories: true)
        try Data(file.utf8).write(to: folder.appendingPathComponent("etc/strata/clients/\(file)"))
      }
      let container = KubernetesManifests.Container(
        name: identity.name, words: identity.words, environment: ["STRATA_CLIENTS": clients],
        mounts: identity.mounts, health: nil)
      let outcome = try await start(container, in: folder, pod: index).outcome()
      #expect(outcome.code == 0, "\(outcome)")
      let key = try String(contentsOfFile: folder.path("run/strata/tls/\(name)/client.key"), encoding: .utf8)
      #expect(key == "\(name).key")
    }
  }

  @Test func certificatesAreAddedAndRevoked() async throws {
    try await withTemporaryFolder { folder in
      #expect(try await makeCertificates(2, folder).code == 0)
      let key = try Data(contentsOf: folder.appendingPathComponent("clients/client-1.key"))
      let authority = folder.path("authority")
      #expect(
        try await Command.run("fedserver", "certificate", "revoke", "client-0", "--tls", authority).code == 0)
      #expect(try await makeCertificates(3, folder).code == 0)
      let names = try FileManager.default.contentsOfDirectory(atPath: folder.path("clients")).sorted()
      #expect(names == ["authority.crt"] + (0..<3).flatMap { ["client-\($0).crt", "client-\($0).key"] })
      #expect(try Data(contentsOf: folder.appendingPathComponent("clients/client-1.key")) == key)
      let secret = try FileManager.default.contentsOfDirectory(atPath: folder.path("server")).sorted()
      #expect(secret == ["authority.crt", "revoked", "server.crt", "server.key"])
      let wrong = try await makeCertificates(0, folder)
      #expect(wrong.code == 64 && wrong.lines.count == 1, "\(wrong)")
    }
  }
}
