import Certificates
import Datasets
import Engine
import Federation
import Foundation
import Support
import Wire

/// A client of a federation. It joins a server and trains on request until the job is done.
package struct Client: Sendable {
  package struct Configuration: Sendable {
    package var server: Endpoint
    package var name: String
    /// The client's folder, with the layers it keeps.
    package var state: URL
    /// The number of threads of a training.
    package var threads: Int
    /// The client's TLS certificate; without one the connection is plain TCP. It is read for each connection, so that
    /// a new certificate is used at once.
    package var certificate: ClientCertificate?
    /// How long the client retries an unreachable server before it gives up.
    package var patience: Duration
    /// The limit on resident memory; nil leaves it to the plan.
    package var memory: ByteCount?
    /// Returns why the client declines a round, or nil if it takes part.
    package var declines: @Sendable (RoundKey) -> DeclineReason? = { _ in nil }
    /// The limits on the client's use of its device.
    package var limits = ResourceLimits()
    /// The silence after which the client closes the connection, until the server has named its heartbeat interval.
    package var silence = Duration.seconds(3 * WireLimits.heartbeatSeconds)
    /// The pauses between attempts to connect.
    package var backoff = Backoff()
    /// Whether the process runs other clients; the memory limit then applies to the training only.
    package var sharesProcess = false

    package init(
      server: Endpoint, name: String, state: URL, threads: Int = 1, patience: Duration = .seconds(10)
    ) {
      (self.server, self.name, self.state) = (server, name, state)
      (self.threads, self.patience) = (threads, patience)
    }
  }

  package static let software = "strata/\(Software.version)"

  let configuration: Configuration
  /// The client's folder.
  package var state: URL { configuration.state }
  let permits: TrainingPermits
  let observer: @Sendable (ClientEvent) -> Void
  private let examples: @Sendable (Plan) throws -> Dataset
  private let validationExamples: (@Sendable (Plan) throws -> Dataset)?

  /// - Parameters:
  ///   - permits: limits how many clients of the process train at once; shared by them.
  ///   - validationExamples: returns labelled examples, on which the client reports the accuracy of the models that it
  ///     receives; nil for no report.
  ///   - examples: returns the client's examples for a plan; called once per connection, when the plan is known.
  package init(
    _ configuration: Configuration, permits: TrainingPermits = TrainingPermits(1),
    validationExamples: (@Sendable (Plan) throws -> Dataset)? = nil,
    examples: @escaping @Sendable (Plan) throws -> Dataset,
    observer: @escaping @Sendable (ClientEvent) -> Void = { _ in }
  ) {
    (self.configuration, self.permits) = (configuration, permits)
    (self.examples, self.validationExamples, self.observer) = (examples, validationExamples, observer)
  }

  /// Takes part until the server ends the job. Retries a lost connection at growing intervals until
  /// ``Configuration/patience`` has passed. Throws ``ClientError``.
  package func run() async throws {
    let clock = ContinuousClock()
    var lastContact = clock.now
    var backoff = configuration.backoff
    while true {
      let failure: ClientError
      let reason: String
      var wasWelcomed = false
      do {
        let connection = try await Connection.connect(
          to: configuration.server, limit: WireLimits.frame, tls: try tls)
        observer(.connected(configuration.server))
        let served = try await serve(connection)
        wasWelcomed = served.wasWelcomed
        // A welcome shows that the server was reachable until now, however the connection ended.
        if wasWelcomed {
          lastContact = clock.now
          backoff.reset()
        }
        switch try served.ending.get().reason {
        case .finished:
          observer(.finished)
          return
        case .rejected, .failed, .protocolError:
          throw ClientError.turnedAway(try served.ending.get().detail)
        case .stopping:
          let detail = try served.ending.get().detail
          reason = detail.isEmpty ? "it is stopping" : detail
          failure = .connection(reason)
        }
      } catch WireError.closed where !wasWelcomed && configuration.certificate == nil {
        reason = "the connection was closed; the server may require TLS (fedclient enroll)"
        failure = .connection(reason)
      } catch let error as WireError {
        failure = ClientError(error)
        // The server would reject this certificate again.
        if case .certificate = failure { throw failure }
        reason = error.description
      }
      // A cancelled connection looks like a broken one.
      try Task.checkCancellation()
      observer(.disconnected(reason: reason))
      let pause = backoff.next()
      guard clock.now + pause < lastContact + configuration.patience else {
        throw failure
      }
      try await clock.sleep(for: pause)
    }
  }

  private var tls: TLSContext? {
    get throws(ClientError) {
      guard let certificate = configuration.certificate else { return nil }
      let identity: Identity
      do { identity = try certificate.identity } catch { throw .state(error.description) }
      let now = Date()
      // The server reports this, too, but in a TLS alert that does not always arrive.
      guard identity.certificate.expires >= now else {
        let end = "the certificate of \(identity.certificate.name) in \(certificate.path) expired on"
        throw .certificate(
          "\(end) \(identity.certificate.expires.day); enrol again, unless this device's clock, \(now.minute), is wrong"
        )
      }
      do {
        return try TLSContext(client: identity, host: configuration.server.host)
      } catch {
        throw .state(error.description)
      }
    }
  }

  private func serve(_ connection: Connection) async throws -> ClientSession.Served {
    let cache: LayerCache
    do {
      cache = try LayerCache(configuration.state.appendingPathComponent("layers"))
    } catch {
      await connection.close()
      throw error
    }
    return await ClientSession(self, connection, cache).run()
  }

  /// Returns the plan that the server sent, checked like any other, and the examples for it.
  func prepare(_ welcome: Welcome) throws -> (Plan, Dataset, ModelValidation?) {
    let plan = welcome.plan
    if let problem = plan.problems.first {
      throw ClientError.server("the server's plan: \(problem.field): \(problem.reason)")
    }
    let set: Dataset
    do {
      set = try plan.labelled(examples(plan)).fitted(to: plan.encoder.input)
    } catch let error as DatasetError {
      throw ClientError.data(error.description)
    }
    guard set.count >= set.least else {
      throw ClientError.data("\(set.count) \(set.noun)s are too few: two are needed")
    }
    return (plan, set, try validation(plan))
  }

  private func validation(_ plan: Plan) throws -> ModelValidation? {
    guard let validationExamples else { return nil }
    let examples: Dataset
    do { examples = try validationExamples(plan) } catch let error as DatasetError {
      throw ClientError.data("--validate: \(error.description)")
    }
    return try ModelValidation(plan, examples, configuration)
  }
}

/// The pauses between attempts to connect. Each is twice as long as the last, up to 30 seconds. Half of each is
/// random, so that clients that lost a server together do not all return at once.
package struct Backoff: Sendable {
  private static let first = Duration.milliseconds(100)
  private static let longest = Duration.seconds(30)

  private var length = Self.first
  private let jitter: @Sendable () -> Double

  /// - Parameter jitter: a random number from 0 to 1, drawn once per pause; the system's generator by default.
  package init(jitter: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) }) {
    self.jitter = jitter
  }

  /// Returns the next pause: 50 to 100 ms, then 100 to 200 ms, then 200 to 400 ms, and so on.
  package mutating func next() -> Duration {
    defer { length = min(length * 2, Self.longest) }
    return length / 2 + length / 2 * jitter()
  }

  /// Starts again with the shortest pause, after the server was reached.
  package mutating func reset() { length = Self.first }
}
