import Engine
import ArgumentParser
import Certificates
import Client
import Commands
import Datasets
import Federation
import Foundation
import Wire

struct RunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Joins a server and trains until its job is done.",
    discussion: """
      The images stay here, and their labels are not used; weights alone are sent. The state folder keeps the layers \
      that were received, and the certificate of 'fedclient enroll'. SIGTERM or SIGINT stops it in good order; \
      started again, it goes on. For example:

        fedclient run --server coordinator:7400 --name box-1 --data folder:/srv/images

      \(CommandHelp.dataSpec) 'fedclient check' looks at it.
      """)

  @Option(help: ArgumentHelp("The server, HOST:PORT.", valueName: "address"))
  var server: String

  @Option(help: "This client's name, unique in the federation: 1 to 64 letters, digits, '.', '_' or '-'.")
  var name: String

  @Option(help: ArgumentHelp("The images to train on.", valueName: "spec"))
  var data: String

  @Flag(
    help: "Refuse images of which a file is broken, instead of leaving it out; all are read at the start.")
  var strict = false

  @Option(
    help: ArgumentHelp("This client's own folder. (default: ~/.local/state/strata/NAME)", valueName: "dir"),
    completion: .directory)
  var state: String?

  @Option(help: "Threads of a training, 1 to 256. (default: all cores)")
  var threads: Int?

  @Option(
    help: ArgumentHelp(
      "How long an unreachable server is tried again, in ms, s, m or h, such as 30s or 1h.",
      valueName: "time"))
  var patience: String = "10s"

  @Option(
    help: ArgumentHelp(
      "What this process may have resident, such as 256MB or 1GiB. (default: what the plan says)",
      valueName: "bytes"))
  var memory: String?

  @Option(
    help: ArgumentHelp(
      "The folder of this client's certificate. (default: the state's folder 'tls', if there is one)",
      valueName: "dir"), completion: .directory)
  var tls: String?

  @Flag(help: "Talk to a server on another machine without TLS: anybody on the way can read and change it.")
  var insecure = false

  @OptionGroup(title: "The box's manners") var manners: MannersOptions

  func validate() throws {
    guard memory.map({ ByteCount($0) != nil }) ?? true else {
      throw ValidationError("--memory is a whole number and B, KB, MB, GB, KiB, MiB or GiB")
    }
    guard Hello.isValid(name: name) else {
      throw ValidationError("--name is 1 to 64 letters, digits, '.', '_' or '-'")
    }
    guard threads.map((1...256).contains) ?? true else { throw ValidationError("--threads is 1 to 256") }
    do { _ = try TimeSpan(patience) } catch { throw ValidationError("--patience \(error.reason)") }
  }

  func run() async throws {
    try await reporting("fedclient") {
      // What a client keeps is nobody else's business.
      umask(0o077)
      do {
        let (spec, patience) = (try DataSpec(parsing: data), try TimeSpan(patience))
        manners.beNice()
        // What is wrong with the images shows before anything is sent.
        let images = try LocalImages(spec, isStrict: strict)
        let (endpoint, certificate) = (try Endpoint(parsing: server), certificate)
        guard certificate != nil || endpoint.isLoopback || insecure else {
          throw CommandFailure(
            .usage,
            "\(endpoint) is another machine: enroll this client (fedclient enroll), or give --insecure")
        }
        var configuration = Client.Configuration(
          server: endpoint, name: name, state: StateFolder.url(state, name: name),
          threads: threads ?? ProcessInfo.processInfo.activeProcessorCount, patience: patience.duration)
        configuration.certificate = certificate
        configuration.memory = memory.flatMap { ByteCount($0) }
        configuration.manners = try manners.settings()
        let log = ClientLog()
        let client = Client(configuration, images: { try images.fitted(to: ImageFit($0.encoder)) }) { event in
          log.note(event)
          if let line = images.newlyBroken { log.warn(line) }
        }
        if let line = images.newlyBroken { log.warn(line) }
        let running = Task { try await client.run() }
        let manager = ServiceManager()
        // Its server may be away for long: it is ready when it can begin to look for it.
        manager.ready("looking for \(server)")
        let stop = { @Sendable in
          manager.stopping()
          running.cancel()
        }
        try await stoppingOnSignal(stop) { try await manager.watched { try await running.value } }
      } catch is CancellationError {
        makeLogger("fedclient").notice("stopped")
      } catch {
        throw Self.failure(error)
      }
    }
  }

  private var certificate: ClientCertificate? {
    if let tls { return ClientCertificate(URL(fileURLWithPath: tls, isDirectory: true)) }
    let own = ClientCertificate(
      StateFolder.url(state, name: name).appendingPathComponent("tls", isDirectory: true))
    return own.exists && !insecure ? own : nil
  }

  static func failure(_ error: any Error) -> any Error {
    switch error {
    case let error as DatasetError: CommandFailure(.data, error.description)
    case let error as CertificateError: CommandFailure(.store, error.description)
    case let error as WireError: CommandFailure(.unreachable, error.description)
    case ClientError.data(let reason): CommandFailure(.data, reason)
    case ClientError.memory(let reason): CommandFailure(.memory, reason)
    case ClientError.connection: CommandFailure(.unreachable, "\(error)")
    case ClientError.state: CommandFailure(.store, "\(error)")
    case is ClientError: CommandFailure(.turnedAway, "\(error)")
    default: error
    }
  }
}
