import ArgumentParser
import Certificates
import Client
import Commands
import Datasets
import Engine
import Federation
import Foundation
import Support
import Wire

struct RunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Joins a server and trains until its job is done.",
    discussion: """
      Images and labels stay on this machine; only weights and figures are sent, and labels are used only if the job \
      is a classification. The state folder keeps received \
      layers and the certificate of 'fedclient enroll'. SIGTERM or SIGINT stops the client cleanly; after a restart \
      it continues. For example:

        fedclient run --server coordinator:7400 --name device-1 --data folder:images

      \(CommandHelp.dataSpec) 'fedclient check' checks it.

      Under Slurm, MPI or Kubernetes, all clients can have the same command line with --partition auto: each is named \
      NAME-INDEX, and uses the folder of that name in --state and in --tls (docs/schedulers.md).
      """)

  @Option(help: ArgumentHelp("The server, HOST:PORT.", valueName: "address"))
  var server: String

  @Option(
    help:
      "This client's name, unique in the federation: 1 to 64 letters, digits, '.', '_' or '-'. With a partition, clients are named NAME-INDEX. (default with a partition: client)"
  )
  var name: String?

  @Option(help: ArgumentHelp("The images to train on.", valueName: "spec"))
  var data: String

  @Option(
    name: .customLong("validate"),
    help: ArgumentHelp(
      "In a classification: labelled images on which this client evaluates the models that it receives, between its trainings. It reports numbers only. (default: no report)",
      valueName: "spec"))
  var validationData: String?

  @OptionGroup var sharing: ShareOptions

  @Flag(
    help: "Fail if a file is broken, instead of leaving it out; all files are read at the start.")
  var strict = false

  @Option(
    help: ArgumentHelp(
      "This client's state folder; with a partition, DIR/NAME-INDEX. (default: ~/.local/state/strata/NAME)",
      valueName: "dir"), completion: .directory)
  var state: String?

  @Option(help: "Threads of a training, 1 to 256. (default: all cores)")
  var threads: Int?

  @Option(
    help: ArgumentHelp(
      "How long to retry an unreachable server, in ms, s, m or h, such as 30s or 720h.",
      valueName: "time"))
  var patience: String = "10m"

  @Option(
    help: ArgumentHelp(
      "This process's memory limit, such as 256MB or 1GiB. (default: the plan's)",
      valueName: "bytes"))
  var memory: String?

  @Option(
    help: ArgumentHelp(
      "The folder of this client's certificate; with a partition, DIR/NAME-INDEX. (default: 'tls' in the state folder, if it exists)",
      valueName: "dir"), completion: .directory)
  var tls: String?

  @Flag(help: "Connect to another machine without TLS: the network can read and change the traffic.")
  var insecure = false

  @OptionGroup(title: "Resource limits") var limits: ResourceLimitsOptions

  func validate() throws {
    guard memory.map({ ByteCount($0) != nil }) ?? true else {
      throw ValidationError("--memory is a whole number and B, KB, MB, GB, KiB, MiB or GiB")
    }
    guard name != nil || sharing.partition != nil else {
      throw ValidationError("Missing expected argument '--name <name>'")
    }
    guard Hello.isValid(name: name ?? LocalShare.stem) else {
      throw ValidationError("--name is 1 to 64 letters, digits, '.', '_' or '-'")
    }
    guard threads.map((1...256).contains) ?? true else { throw ValidationError("--threads is 1 to 256") }
    _ = try endpoint
    do { _ = try TimeSpan(patience) } catch { throw ValidationError("--patience \(error.reason)") }
  }

  private var endpoint: Endpoint {
    get throws { try address(server, of: "--server", example: "coordinator:7400") }
  }

  func run() async throws {
    try await reporting("fedclient") {
      // The client's files are private.
      umask(0o077)
      do {
        let (spec, patience) = (try DataSpec(parsing: data), try TimeSpan(patience))
        let place = try place
        limits.beNice()
        // Errors in the images show before anything is sent.
        let images = try LocalData(spec, isStrict: strict, share: place.share)
        try images.requireEnough()
        let validation = try validationImages
        let endpoint = try endpoint
        guard place.certificate != nil || endpoint.isLoopback || insecure else {
          throw CommandFailure(
            .usage,
            "\(endpoint) is another machine: enroll this client (fedclient enroll), or give --insecure")
        }
        let lock = try StateFolder.take(place.state)
        defer { lock.release() }
        var configuration = Client.Configuration(
          server: endpoint, name: place.name, state: place.state,
          threads: threads ?? ProcessInfo.processInfo.activeProcessorCount, patience: patience.duration)
        configuration.certificate = place.certificate
        configuration.memory = memory.flatMap { ByteCount($0) }
        configuration.limits = try limits.settings()
        let log = ClientLog()
        if let share = place.share { log.shared(share, name: place.name) }
        let client = Self.client(configuration, images, validation, log)
        if let line = images.passedOver { log.tell(line) }
        let manager = ServiceManager()
        // The server may be unreachable for long, so the client is ready as soon as it starts to connect.
        manager.ready("connecting to \(server)")
        try await cancellingOnSignal({ manager.stopping() }) {
          try await manager.watched { try await client.run() }
        }
      } catch is CancellationError {
        makeLogger("fedclient").notice("stopped")
      } catch {
        throw Self.failure(error)
      }
    }
  }

  /// Returns a client with these images, and reports its events and the images' broken files.
  private static func client(
    _ configuration: Client.Configuration, _ images: LocalData, _ validation: LocalData?, _ log: ClientLog
  ) -> Client {
    @Sendable func warn() {
      if let line = images.newlyBroken { log.warn(line) }
      if let line = validation?.newlyBroken { log.warn(line) }
    }
    warn()
    var validationExamples: (@Sendable (Plan) throws -> Dataset)?
    if let validation { validationExamples = { try validation.prepared(for: $0) } }
    return Client(
      configuration, validationExamples: validationExamples, examples: { try images.prepared(for: $0) }
    ) { event in
      log.note(event)
      warn()
    }
  }

  /// The images for validations; nil without.
  private var validationImages: LocalData? {
    get throws {
      guard let validationData else { return nil }
      do {
        let images = try LocalData(try DataSpec(parsing: validationData), role: .test, isStrict: strict)
        try images.requireLabels()
        return images
      } catch {
        throw CommandFailure(.data, "--validate: \(error.description)")
      }
    }
  }

  /// Throws ``CommandFailure``, also if the index makes the name too long, and `CertificateError`.
  private var place: ClientPlace {
    get throws {
      let share = try sharing.local(ProcessInfo.processInfo.environment)
      let place = try ClientPlace(
        name: name, share: share, state: state, tls: tls, usesCertificate: !insecure)
      guard Hello.isValid(name: place.name) else {
        throw CommandFailure(.usage, "--name: '\(place.name)' is longer than 64 characters")
      }
      return place
    }
  }

  static func failure(_ error: any Error) -> any Error {
    switch error {
    case let error as DatasetError: CommandFailure(.data, error.description)
    case let error as CertificateError: CommandFailure(.store, error.description)
    case let error as WireError: CommandFailure(.unreachable, error.description)
    case ClientError.data(let reason): CommandFailure(.data, reason)
    case ClientError.memory(let reason): CommandFailure(.memory, reason)
    case ClientError.connection, ClientError.distrusted: CommandFailure(.unreachable, "\(error)")
    case ClientError.state: CommandFailure(.store, "\(error)")
    case is ClientError: CommandFailure(.turnedAway, "\(error)")
    default: error
    }
  }
}
