import ArgumentParser
import Certificates
import Commands
import Federation
import Foundation
import Server
import Watch
import Wire

struct RunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Runs a plan to its end.",
    usage: "fedserver run [<options>] <plan> --database <file>",
    discussion: """
      Clients connect with 'fedclient run'; the first round begins when enough of them are connected. The database \
      keeps every round: after a restart on the same database, the server continues with the current round. SIGTERM or \
      SIGINT stops it cleanly. 'fedserver status' prints what it waits for. Add --listen 0.0.0.0:7400 --tls tls to \
      listen for other machines. For example:

        fedserver run plan.yaml --database strata.sqlite
      """)

  @Argument(help: "The plan, a YAML file (docs/plans.md).", completion: .plan)
  var plan: String

  @Option(
    help: ArgumentHelp(
      "The address to listen on, HOST:PORT; a name means all its addresses, 0.0.0.0 all of this machine's.",
      valueName: "address")
  )
  var listen: String = "127.0.0.1:7400"

  @Option(
    help: ArgumentHelp("The SQLite file; it is created if it does not exist.", valueName: "file"),
    completion: .database)
  var database: String

  @Option(
    help: ArgumentHelp(
      "The folder of the server's certificates (fedserver certificate). (default: no encryption)",
      valueName: "dir"), completion: .directory)
  var tls: String?

  @Flag(help: "Listen for other machines without TLS: the network can read and change the traffic.")
  var insecure = false

  @Option(
    help: ArgumentHelp(
      "Limit of unauthenticated connections from one address, 1 to 100000.", valueName: "n"
    ))
  var maxUnauthenticated: Int = ConnectionLimiter.Limits().perAddress

  @Option(
    help: ArgumentHelp(
      "The address of the status page, HOST:PORT, which needs no password (docs/watching.md). (default: no status page)",
      valueName: "address"))
  var http: String?

  @Option(help: "Threads for aggregation and calibration, 1 to 256. (default: all cores)")
  var threads: Int?

  @OptionGroup(title: "Probe") var probe: ProbeOptions

  func validate() throws {
    guard threads.map((1...256).contains) ?? true else { throw ValidationError("--threads is 1 to 256") }
    guard (1...100_000).contains(maxUnauthenticated) else {
      throw ValidationError("--max-unauthenticated is 1 to 100000")
    }
    _ = (try endpoint, try page)
  }

  private var endpoint: Endpoint {
    get throws { try address(listen, of: "--listen", example: "127.0.0.1:7400") }
  }

  /// The address of the status page.
  private var page: Endpoint? {
    get throws { try http.map { try address($0, of: "--http", example: "127.0.0.1:8080") } }
  }

  func run() async throws {
    try await reporting("fedserver") {
      let (plan, folder) = (try readPlan(plan), planFolder(plan))
      let (log, manager) = (ServerLog(), ServiceManager())
      // The server's files are private.
      umask(0o077)
      Descriptors.raiseLimit()
      do {
        let threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
        let (endpoint, page) = (try endpoint, try page)
        guard tls != nil || endpoint.isLoopback || insecure else {
          throw CommandFailure(
            .usage, "\(endpoint) can be reached from other machines: give --tls DIR, or --insecure")
        }
        // Checks every path and address first, so that a failed start leaves no database behind.
        try DatabasePlace.requireUsable(database)
        let tell = { @Sendable (event: ServerEvent) in
          log.note(event)
          Self.tell(manager, event)
        }
        let access = try access(tell)
        let listener = try await Listener(endpoint)
        let pageListener: Listener? = if let page { try await Listener(page) } else { nil }
        for listener in [listener, pageListener] { listener.map(log.bound) }
        let evaluation = try probe.evaluation(plan, threads: threads)
        let exits = try probe.exits(plan, evaluation, threads: threads)
        let analysis = try probe.analysis(plan, evaluation, threads: threads)
        if !FileManager.default.fileExists(atPath: database) { try plan.checkFiles(in: folder) }
        let store = try Store(database)
        let prober = evaluation.map {
          Prober(
            plan, store, $0, exits: exits, every: probe.interval, analysis: analysis, observer: log.note)
        }
        let observer = { @Sendable (event: ServerEvent) in
          tell(event)
          if case .committed = event { prober?.note() }
        }
        var limits = ConnectionLimiter.Limits()
        (limits.perAddress, limits.total) = (maxUnauthenticated, max(limits.total, maxUnauthenticated))
        let server = try Server(
          plan, store: store, folder: folder, listener: listener, threads: threads, access: access,
          unauthenticated: limits, observer: observer)
        let watch = try pageListener.map {
          try Watch($0, plan, database: database, connected: server.connected)
        }
        let stop = { @Sendable in
          manager.stopping()
          watch?.hurry()
          await server.stop()
        }
        let snapshot = try await stoppingOnSignal(stop) {
          // After this line the server can be stopped cleanly, which its reader may rely on.
          if let watch { log.watched(at: watch.endpoint) }
          return try await manager.watched(isAlive: server.answer) {
            try await Self.seen(by: watch) {
              let snapshot = try await server.run()
              await prober?.finish()
              return snapshot
            }
          }
        }
        log.printing("encoder \(snapshot.encoderDigest)")
      } catch is CancellationError {
        log.stopped()
      } catch {
        throw Self.failure(error)
      }
    }
  }

  private func access(_ observer: @escaping @Sendable (ServerEvent) -> Void) throws -> Access {
    guard let tls else { return Access() }
    return try Access(CertificateFolder(URL(fileURLWithPath: tls, isDirectory: true)), observer: observer)
  }

  /// Runs `body` while the status page is served, and reports the outcome on the page.
  private static func seen<Result: Sendable>(
    by watch: Watch?, _ body: @Sendable () async throws -> Result
  ) async throws -> Result {
    guard let watch else { return try await body() }
    return try await watch.during(body)
  }

  /// Reports an event to the service manager.
  private static func tell(_ manager: ServiceManager, _ event: ServerEvent) {
    switch event {
    case .listening(let endpoint): manager.ready("listening on \(endpoint)")
    case .recruiting(let key, let present, let needed):
      manager.say("\(key) waits for clients: \(present) of \(needed) are connected")
    case .committed(let round): manager.say("stage \(round.stage) round \(round.round) is committed")
    default: break
    }
  }

  private static func failure(_ error: any Error) -> any Error {
    switch error {
    case let error as CertificateError: CommandFailure(.store, error.description)
    case let error as WireError: CommandFailure(.address, error.description)
    case let error as StoreError: CommandFailure(.store, error.description)
    case ServerError.calibrationData(let reason): CommandFailure(.data, "calibration data: \(reason)")
    case ServerError.initial, ServerError.controller: CommandFailure(.data, "\(error)")
    case ServerError.inconsistentStore: CommandFailure(.store, "\(error)")
    case ServerError.diverged: CommandFailure(.diverged, "\(error)")
    case let error as ServerError: CommandFailure(.gaveUp, error.description)
    default: error
    }
  }
}
