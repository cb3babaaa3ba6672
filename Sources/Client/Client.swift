import Certificates
import Datasets
import Engine
import Federation
import Foundation
import Support
import Wire

/// A client of a federation: joins a server and trains when it is asked to, until the job is done.
package struct Client: Sendable {
  package struct Configuration: Sendable {
    package var server: Endpoint
    package var name: String
    /// The client's own folder: layers it keeps.
    package var state: URL
    /// Threads of a training.
    package var threads: Int
    /// Who this client is, in TLS; without it all travels as it is. Read again for each connection, so that a new
    /// certificate is used as soon as it is there.
    package var certificate: ClientCertificate?
    /// How long an unreachable server is tried again before the client gives up.
    package var patience: Duration
    /// What may be resident; nil leaves it to the plan.
    package var memory: ByteCount?
    /// Why this client will not train in a round; nil where it will.
    package var declines: @Sendable (RoundKey) -> DeclineReason? = { _ in nil }
    /// What it may take of its device.
    package var limits = ResourceLimits()
    /// After so long without a sign of life a server is left that has not said yet how often it speaks.
    package var silence = Duration.seconds(3 * WireLimits.heartbeatSeconds)
    /// The pauses before a server that is away is tried again.
    package var backoff = Backoff()
    /// Whether other clients live in the same process: the limit is then for a training alone.
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
  /// Where the client keeps what it needs again.
  package var state: URL { configuration.state }
  let permits: TrainingPermits
  let observer: @Sendable (ClientEvent) -> Void
  private let images: @Sendable (Plan) throws -> ImageSet

  /// - Parameters:
  ///   - permits: shared by the clients of a process, so that only so many train at once.
  ///   - images: the client's images for a plan; called once a connection, when the plan is known.
  package init(
    _ configuration: Configuration, permits: TrainingPermits = TrainingPermits(1),
    images: @escaping @Sendable (Plan) throws -> ImageSet,
    observer: @escaping @Sendable (ClientEvent) -> Void = { _ in }
  ) {
    (self.configuration, self.permits) = (configuration, permits)
    (self.images, self.observer) = (images, observer)
  }

  /// Takes part until the server says that the job is done. A lost connection is tried again, at growing
  /// intervals, for as long as the client's patience lasts. Throws ``ClientError``.
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
        // A server that welcomed this client was there until now, however the connection ended.
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
          reason = detail.isEmpty ? "it stops" : detail
          failure = .connection(reason)
        }
      } catch WireError.closed where !wasWelcomed && configuration.certificate == nil {
        reason = "the connection is closed; the server may want TLS (fedclient enroll)"
        failure = .connection(reason)
      } catch let error as WireError {
        failure = ClientError(error)
        // What this client shows will be rejected again.
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
      // The server would say so, too, but in an alert that does not always arrive.
      guard identity.certificate.expires >= now else {
        let end = "the certificate of \(identity.certificate.name) in \(certificate.path) ended on"
        throw .certificate(
          "\(end) \(identity.certificate.expires.day); enrol again, unless this device's clock is wrong: it says \(now.minute)"
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

  /// The images for a plan that came from the server, which is checked like any other.
  func prepare(_ welcome: Welcome) throws -> (Plan, ImageSet) {
    let plan: Plan
    do {
      plan = try Plan(yaml: welcome.plan.yaml(), file: "the server's plan")
    } catch {
      throw ClientError.server("\(error)")
    }
    let set: ImageSet
    do {
      set = try images(plan).fitted(to: ImageFit(plan.encoder))
    } catch let error as DatasetError {
      throw ClientError.data(error.description)
    }
    guard set.count >= 2 else { throw ClientError.data("\(set.count) images are too few: two are needed") }
    return (plan, set)
  }
}

/// The pauses of a client before it tries a server again: each twice as long as the one before, up to half a
/// minute, and of each half is left to chance, so that those who lost a server together do not all come back
/// at once.
package struct Backoff: Sendable {
  private static let first = Duration.milliseconds(100)
  private static let longest = Duration.seconds(30)

  private var length = Self.first
  private let jitter: @Sendable () -> Double

  /// - Parameter jitter: chance, 0 … 1, drawn once a pause; by itself it is the system's.
  package init(jitter: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) }) {
    self.jitter = jitter
  }

  /// The next pause: from half of 100 ms, 200 ms, 400 ms and so on up to the whole of it.
  package mutating func next() -> Duration {
    defer { length = min(length * 2, Self.longest) }
    return length / 2 + length / 2 * jitter()
  }

  /// The server was reached: the next pause is a short one again.
  package mutating func reset() { length = Self.first }
}
