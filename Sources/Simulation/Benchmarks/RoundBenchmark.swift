import Client
import Engine
import Federation
import Foundation
import Server
import Support
import Synchronization
import Wire

/// Measures only the server: rounds with clients that do not train, over TCP on this machine, with the real store. The
/// server runs in a separate process, so that its memory can be measured.
package struct RoundBenchmark: Sendable {
  private let clients: Int
  private let rounds: Int
  private let plan: Plan

  /// The result. The names are those of `fedsim bench round --json`.
  package struct Result: Sendable, Codable {
    package let clients: Int
    package let rounds: Int
    /// The bytes of the model, which every client receives and returns in every round.
    package let modelBytes: Int
    /// The mean time per round, from the first assignment to the last verdict.
    package let secondsPerRound: Double
    /// The traffic at the server's sockets in both directions.
    package let bytesPerRound: Int
    /// The peak resident memory of the server's process (VmHWM).
    package let serverPeakMemoryBytes: Int
  }

  /// Uses `clients` clients and a model of about `bytes` bytes.
  package init(clients: Int, bytes: Int, rounds: Int) {
    (self.clients, self.rounds) = (clients, rounds)
    plan = Self.plan(clients: clients, bytes: bytes, rounds: rounds)
  }

  /// The bytes of the plan's model.
  package var modelBytes: Int { plan.stage(1).model.layout.bytes }

  /// Returns a plan with a small encoder and a head of the size required.
  private static func plan(clients: Int, bytes: Int, rounds: Int) -> Plan {
    let (width, output) = (16, 16)
    let encoder = EncoderConfiguration(image: 8, channels: 1, patch: 4, width: width, depth: 1, heads: 1)
    func model(_ hidden: Int) -> Plan {
      Plan(
        name: "bench round", encoder: encoder, heads: HeadConfiguration(hidden: hidden, output: output))
    }
    // The square of the hidden width dominates the size.
    let rest = model(1).stage(1).model.layout.bytes / 4
    let side = Double(max(bytes / 4 - rest, 1)).squareRoot() - Double(width + output + 4) / 2
    var plan = model(max(Int(side), 1))
    plan.method.strategy = .endToEnd
    plan.method.roundsPerStage = .each(rounds)
    plan.round = Plan.RoundRules(cohort: clients, quorum: clients, deadline: .hours(1))
    return plan
  }

  /// Runs the benchmark. `server` returns the arguments with which this program calls ``serve(_:in:listening:)``.
  package func run(_ server: (_ plan: URL, _ folder: URL) -> [String]) async throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("strata-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appendingPathComponent("plan.yaml")
    try Data(plan.yaml().utf8).write(to: file)
    let process = OwnProcess(URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath())
    let (addresses, address) = AsyncStream<String>.makeStream()
    let arguments = server(file, folder)
    async let served = process.run(arguments, keepingOutput: true) { line in
      if line.hasPrefix(Self.listening) { address.yield(String(line.dropFirst(Self.listening.count))) }
    }
    var first = addresses.makeAsyncIterator()
    guard let text = await first.next() else { throw CancellationError() }
    let endpoint = try Endpoint(parsing: text)
    let updates = IdleClient.Updates(bytes: modelBytes, clients: clients)
    let times = try await withThrowingTaskGroup(of: IdleClient.Times.self) { group in
      for number in 0..<clients {
        group.addTask {
          try await IdleClient(name: "client-\(number)", server: endpoint, updates: updates).run()
        }
      }
      return try await group.reduce(into: IdleClient.Times()) { $0.join($1) }
    }
    let outcome = try await served
    let memory = try JSON.read(Int.self, from: outcome.output)
    let store = try Store(folder.appendingPathComponent("strata.sqlite").path)
    let bytes = try store.clients().reduce(0) { $0 + $1.bytesUp + $1.bytesDown }
    return Result(
      clients: clients, rounds: rounds, modelBytes: modelBytes,
      secondsPerRound: times.length.seconds / Double(rounds), bytesPerRound: bytes / rounds,
      serverPeakMemoryBytes: memory)
  }

  private static let listening = "listening "

  /// Runs the plan to its end, as the server process. Returns its peak memory.
  package static func serve(_ plan: Plan, in folder: URL, tell: (String) -> Void) async throws -> Int {
    var limits = ConnectionLimiter.Limits()
    (limits.perAddress, limits.total) = (1 << 16, 1 << 16)
    let server = try await Server(
      plan, store: try Store(folder.appendingPathComponent("strata.sqlite").path),
      endpoint: Endpoint(host: "127.0.0.1", port: 0), threads: ProcessInfo.processInfo.activeProcessorCount,
      unauthenticated: limits)
    tell("\(listening)\(server.endpoint)")
    _ = try await server.run()
    return ProcessMemory.peak
  }
}
