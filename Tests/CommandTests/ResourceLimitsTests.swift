import Foundation
import TestSupport
import Testing

/// The options of docs/resource-limits.md, with the daemons as separate processes.
@Suite(.unhurried) struct ResourceLimitsTests {
  private func startServer(_ folder: URL, cohort: Int, quorum: Int, epochs: Int = 1) async throws -> (
    Command, String
  ) {
    let path = try folder.plan()
    let plan = try String(contentsOfFile: path, encoding: .utf8)
      .replacing("{cohort: 2, quorum: 2}", with: "{cohort: \(cohort), quorum: \(quorum)}")
      .replacing("{epochs: 1,", with: "{epochs: \(epochs),")
    try Data(plan.utf8).write(to: URL(fileURLWithPath: path))
    let server = try Command(
      "fedserver", ["run", path, "--listen", "127.0.0.1:0", "--database", folder.path("strata.sqlite")])
    let line = try await server.errors.line(containing: "listening on ")
    return (server, String(try #require(line.split(separator: " ").last)))
  }

  private func startClient(
    _ folder: URL, _ name: String, _ address: String, _ options: [String] = [], images: Int = 32
  ) throws
    -> Command
  {
    try Command(
      "fedclient",
      [
        "run", "--server", address, "--name", name, "--data", "shapes:\(images)", "--state",
        folder.path(name),
        "--threads", "2", "--patience", Unhurried.patience,
      ] + options, environment: ["TZ": "UTC"])
  }

  /// An hour of the day that starts in two hours, in UTC.
  private var otherHours: String {
    let hour = Int(Date().timeIntervalSince1970) / 3600 % 24
    return String(format: "%02d:30-%02d:30", (hour + 2) % 24, (hour + 3) % 24)
  }

  @Test func aClientDeclinesByItsLimits() async throws {
    try await withTemporaryFolder { folder in
      let (server, address) = try await startServer(folder, cohort: 3, quorum: 1)
      let hours = otherHours
      let awake = try startClient(folder, "awake", address, ["--hours", "00:00-24:00", "--cpu", "400%"])
      let asleep = try startClient(folder, "asleep", address, ["--hours", hours])
      let frugal = try startClient(folder, "frugal", address, ["--bytes-a-day", "3KB"])
      let outcomes = [try await awake.outcome(), try await asleep.outcome(), try await frugal.outcome()]
      for outcome in outcomes {
        #expect(outcome.code == 0 && outcome.errors.contains("the job is done"), "\(outcome)")
      }
      let round = "stage 2 round 1"
      #expect(outcomes[0].errors.contains("\(round): trained"), "\(outcomes[0])")
      #expect(!outcomes[0].errors.contains("declined"), "\(outcomes[0])")
      let lines = outcomes.map { $0.lines.filter { $0.contains(": declined: ") } }
      #expect(lines.map(\.count) == [0, 1, 1], "for how long was said, and nobody asks again: \(outcomes)")
      #expect(lines[1].first?.hasSuffix("outside its hours, \(hours)") == true, "\(lines)")
      #expect(lines[2].first?.hasSuffix("of 3KB a day") == true, "\(lines)")
      let outcome = try await server.outcome()
      #expect(outcome.code == 0 && outcome.errors.contains("\(round) is committed: 1 client,"), "\(outcome)")
      #expect(outcome.errors.contains("asleep declines: outside its hours, \(hours)"), "\(outcome)")
      // Sent bytes are counted, but only if there is a cap.
      let counts = try Data(contentsOf: URL(fileURLWithPath: folder.path("frugal/bytes.json")))
      let days = try JSONDecoder().decode([String: [String: [String: Int]]].self, from: counts)["days"] ?? [:]
      let total = days.values.reduce(0) { $0 + $1.values.reduce(0, +) }
      #expect(total > 500 && total < 100_000, "\(days)")
      #expect(!FileManager.default.fileExists(atPath: folder.path("awake/bytes.json")))
    }
  }

  /// SIGTERM ends the device's work but not its round: another device is asked at once.
  @Test func aClientThatIsStoppedIsReplaced() async throws {
    try await withTemporaryFolder { folder in
      let (server, address) = try await startServer(folder, cohort: 2, quorum: 2, epochs: 10_000)
      var clients: [String: Command] = [:]
      for name in ["a", "b", "c"] {
        clients[name] = try startClient(folder, name, address)
        _ = try await server.errors.line(containing: "\(name) joined")
      }
      _ = try await server.errors.line(containing: "round 1 is assigned to a")
      // The seed alone determines which two of the first clients are drawn: a and b.
      kill(try #require(clients["a"]).process, SIGTERM)
      _ = try await server.errors.line(containing: "stage 1 round 1: a declines: the client stops")
      _ = try await server.errors.line(containing: "stage 1 round 1 is assigned to c")
      _ = try await server.errors.line(containing: "a left: stopping the client stops")
      let outcome = try await #require(clients["a"]).outcome()
      #expect(outcome.code == 0 && outcome.errors.contains("declined: the client stops"), "\(outcome)")
      for name in ["b", "c"] {
        let client = try #require(clients[name])
        kill(client.process, SIGTERM)
        let outcome = try await client.outcome()
        #expect(outcome.code == 0, "\(outcome)")
      }
      kill(server.process, SIGTERM)
      let ended = try await server.outcome()
      #expect(ended.code == 0 && !ended.errors.contains("abandoned"), "\(ended)")
    }
  }

  /// On Linux niceness belongs to a thread; the niceness of a process is that of its first thread.
  @Test func whatComputesIsAsNiceAsItIsToBe() async throws {
    try await withTemporaryFolder { folder in
      let (server, address) = try await startServer(folder, cohort: 1, quorum: 1, epochs: 10_000)
      let client = try startClient(folder, "one", address, ["--nice", "17"], images: 4096)
      _ = try await client.errors.line(containing: "training needs")
      // The kernel does not notify when a thread has computed for a while, so this polls.
      var threads = try Self.threads(of: client.process)
      while !threads.contains(where: { $0.ticks >= 20 }) {
        try await Task.sleep(for: .milliseconds(20))
        threads = try Self.threads(of: client.process)
      }
      let expected = max(17, Int(getpriority(Int32(PRIO_PROCESS.rawValue), 0)))
      for thread in threads where thread.ticks >= 20 || thread.number == client.process {
        #expect(thread.niceness == expected, "\(thread) of \(threads)")
      }
      client.terminate()
      server.terminate()
      #expect(try await client.outcome().code == 0)
      #expect(try await server.outcome().code == 0)
    }
  }

  /// Dispatch sets the niceness of its threads if it may, as root.
  @Test func whatItWasStartedWithHoldsForEveryThread() async throws {
    try await withTemporaryFolder { folder in
      let (server, address) = try await startServer(folder, cohort: 1, quorum: 1, epochs: 10_000)
      let client = try Command(
        "/usr/bin/nice",
        [
          "-n", "19", Command.folder.appendingPathComponent("fedclient").path, "run", "--server", address,
          "--name",
          "one", "--data", "shapes:32", "--state", folder.path("one"), "--threads", "2",
        ])
      _ = try await client.errors.line(containing: "training needs")
      var threads = try Self.threads(of: client.process)
      while !threads.contains(where: { $0.ticks >= 20 }) {
        try await Task.sleep(for: .milliseconds(20))
        threads = try Self.threads(of: client.process)
      }
      #expect(threads.count > 3 && threads.allSatisfy { $0.niceness == 19 }, "\(threads)")
      client.terminate()
      server.terminate()
      #expect(try await client.outcome().code == 0)
      #expect(try await server.outcome().code == 0)
    }
  }

  /// The estimate includes all memory of a training: coded updates, their base, and cached views.
  @Test(arguments: ["traffic: {codec: int8}", "traffic: {codec: top-k}", "traffic: {codec: float32}"])
  func itsMemoryIsWhatItMayHave(extra: String) async throws {
    try await withTemporaryFolder { folder in
      let path = folder.path("plan.yaml")
      let plan = """
        encoder: {image: 32, patch: 4, width: 192, depth: 2, heads: 3}
        method: {strategy: end-to-end, roundsPerStage: 100}
        local: {epochs: 1, batch: 32}
        round: {cohort: 1, quorum: 1}
        \(extra)
        """
      try Data(plan.utf8).write(to: URL(fileURLWithPath: path))
      let server = try Command(
        "fedserver", ["run", path, "--listen", "127.0.0.1:0", "--database", folder.path("strata.sqlite")])
      let line = try await server.errors.line(containing: "listening on ")
      let client = try startClient(
        folder, "one", String(try #require(line.split(separator: " ").last)), ["--memory", "115MB"])
      _ = try await client.errors.line(containing: "round 3: the update is admitted")
      let status = try String(contentsOfFile: "/proc/\(client.process)/status", encoding: .utf8)
      let peak = try #require(status.firstMatch(of: /VmHWM:\s+(\d+) kB/).flatMap { Int($0.1) })
      #expect(peak * 1024 <= 115_000_000, "\(peak) kB")
      client.terminate()
      server.terminate()
      _ = (try await client.outcome(), try await server.outcome())
    }
  }

  /// Returns a process's threads with their processor time in hundredths of a second and niceness (proc_pid_stat(5)).
  private static func threads(of process: pid_t) throws -> [(number: pid_t, ticks: Int, niceness: Int)] {
    let folder = "/proc/\(process)/task"
    return try FileManager.default.contentsOfDirectory(atPath: folder).compactMap { thread in
      // A thread may have ended since it was listed. The fields follow the name, which may contain spaces.
      guard let stat = try? String(contentsOfFile: "\(folder)/\(thread)/stat", encoding: .utf8),
        let name = stat.lastIndex(of: ")"), let number = pid_t(thread)
      else { return nil }
      let fields = stat[name...].split(separator: " ")
      guard let user = Int(fields[12]), let niceness = Int(fields[17]) else { return nil }
      return (number, user, niceness)
    }
  }

  @Test(arguments: [
    ["--nice", "20"], ["--cpu", "50"], ["--cpu", "0%"], ["--hours", "22-6"], ["--hours", "22:00-06:00,x"],
    ["--bytes-a-day", "200"], ["--bytes-a-day", "0MB"],
  ])
  func aValueThatIsNoneIsNamed(option: [String]) async throws {
    let outcome = try await Command(
      "fedclient", ["run", "--server", "x:1", "--data", "shapes:16", "--name", "a"] + option
    ).outcome()
    #expect(outcome.code == 64, "\(outcome)")
    #expect(outcome.lines.first?.contains(option[0]) == true, "\(outcome.errors)")
  }
}
