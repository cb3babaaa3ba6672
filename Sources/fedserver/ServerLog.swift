import Commands
import Federation
import Foundation
import Logging
import Server
import Support
import Synchronization
import Wire

/// A server's events as log lines.
struct ServerLog: Sendable {
  private let logger = makeLogger("fedserver")
  private let waiting = LastLine()
  /// The maximum number of clients named in a line.
  private static let named = 10
  private let unauthenticated: LimitedLines

  init() {
    let logger = logger
    unauthenticated = LimitedLines { logger.warning("\($0)") }
  }

  func stopped() {
    unauthenticated.end()
    logger.notice("stopped; the job continues when the server is started again")
  }

  /// Prints the job's result. A failure is only logged, since the database has the result.
  func printing(_ result: String) {
    unauthenticated.end()
    do { try StandardOutput.write(result, patience: .seconds(2)) } catch {
      logger.warning("\(result) could not be printed: \((error as? CommandFailure)?.message ?? "\(error)")")
    }
  }

  /// Logs the addresses of a host name, unless it is the only address.
  func bound(_ listener: Listener) {
    let (endpoint, addresses) = (listener.endpoint, listener.addresses)
    guard addresses != [endpoint] else { return }
    logger.notice("\(endpoint.host) resolves to \(addresses.map(\.host).joined(separator: " and "))")
    if !listener.elsewhere.isEmpty {
      let others = listener.elsewhere.map(\.host).joined(separator: " and ")
      logger.warning("\(endpoint.host) also resolves to \(others), outside this machine")
    }
  }

  func watched(at endpoint: Endpoint) {
    if !endpoint.isLoopback {
      logger.warning("the status page is plain HTTP; anyone who reaches \(endpoint.host) can read it")
    }
    logger.notice("status page at http://\(endpoint)/")
  }

  func note(_ event: ServerEvent) {
    switch event {
    case .listening(let endpoint): logger.notice("listening on \(endpoint)")
    case .resumed(let key): logger.notice("continuing after \(key)")
    case .continued(let key, let admitted):
      logger.notice("\(key) continues with \(counted(admitted, "update")) admitted earlier")
    case .lost(let client):
      logger.warning("the admitted update of \(client) is damaged or missing; the client is asked again")
    case .joined(let client, let peer): logger.info("\(client) joined from \(peer)")
    case .left(let client, let reason): logger.info("\(client) left: \(reason)")
    case .folded(let key, let client, let offer):
      logger.info("\(key): the late update of \(client) for \(offer.key) is admitted")
    case .reloaded(nil): logger.notice("new certificates are in use")
    case .reloaded(let reason?): logger.error("the old certificates stay in use: \(reason)")
    case .revocationsUnknown(nil): logger.notice("the list of revoked certificates is readable again")
    case .revocationsUnknown(let reason?): logger.error("all clients are rejected: \(reason)")
    case .revocationsMissing(let missing, let folder, let database):
      let names = missing.prefix(5).map { "\($0.name) (\($0.serial))" }.joined(separator: ", ")
      let more = missing.count > 5 ? " and \(missing.count - 5) more" : ""
      logger.error(
        "the list of revoked certificates lacks \(names)\(more), which the database has; they stay revoked; restore the list with fedserver certificate restore --tls \(folder) --database \(database)"
      )
    case .enrolled(let client, let peer): logger.notice("\(client) has fetched its certificate from \(peer)")
    case .expires(let client, let days):
      logger.warning(
        "the certificate of \(client) is valid for \(days == 1 ? "1 more day" : "\(days) more days")")
    case .ending(let certificate):
      logger.log(level: certificate.days < 0 ? .error : .warning, "\(certificate)")
    case .turnedAway(let peer, let reason):
      unauthenticated.line("the connection from \(peer) is rejected: \(reason)")
    case .recruiting(let key, let present, let needed):
      let line = "\(key) waits for clients: \(present) of \(needed) are connected"
      if waiting.isNew(line) { logger.info("\(line)") }
    case .assigned(let key, let client): logger.info("\(key) is assigned to \(client)")
    case .admitted(let key, let client, let offer):
      logger.info("\(key): the update of \(client) is admitted, \(offer.samples) samples, loss \(offer.loss)")
    case .rejected(let key, let client, let rejection):
      logger.warning("\(key): the update of \(client) is rejected: \(rejection.explanation)")
    case .rests(let client, let rounds):
      logger.warning(
        "\(client) is not asked for \(counted(rounds, "round")): its updates were rejected too often")
    case .cut(let key, let clients, let most):
      let others = clients.count > Self.named ? " and \(clients.count - Self.named) more" : ""
      let names = clients.prefix(Self.named).joined(separator: ", ")
      logger.warning(
        "\(key): claims are limited to \(counted(most, "sample")): \(names)\(others) claimed more")
    case .declined(let key, let client, let reason): logger.info("\(key): \(client) declines: \(reason)")
    case .committed(let round):
      let figures = "loss \(number(round.loss, digits: 4)), \(number(round.seconds, digits: 1)) s"
      logger.notice(
        "stage \(round.stage) round \(round.round) is committed: \(counted(round.clients, "client")), \(figures)"
      )
    case .grown(let key, let images, let batch):
      logger.notice(
        "the encoder ends with stage \(key.stage - 1): \(images) images remain for the next, fewer than a batch of \(batch)"
      )
    case .abandoned(let key, let reason): logger.warning("\(key) is abandoned: \(reason)")
    case .validated(let key, let client, let validation):
      logger.debug("\(key): \(client) has validated on \(validation.images) images")
    case .probed(let key, let accuracy, let exits):
      logger.notice("\(key): linear probe accuracy \(String(format: "%.1f %%", 100 * accuracy))")
      if let exits { logger.notice("\(key): \(exits.line)") }
    case .analysed(let key, let layers, let samples):
      logger.notice("\(key): \(counted(layers, "layer")) analysed on \(counted(samples, "sample"))")
    case .unprobed(let reason): logger.warning("the linear probe failed: \(reason)")
    case .finished: logger.notice("the job is done")
    case .progress, .calibrating: break
    }
  }
}

/// Detects consecutive equal log lines.
private final class LastLine: Sendable {
  private let line = Mutex("")

  func isNew(_ text: String) -> Bool {
    line.withLock { line in
      defer { line = text }
      return line != text
    }
  }
}

/// Limits log lines that unauthenticated peers can cause to a burst of ten and one per second. Suppressed lines are
/// counted, and their number is logged as soon as the limit permits.
final class LimitedLines: Sendable {
  private struct State {
    var bucket = TokenBucket(burst: 10, perSecond: 1)
    var suppressed = 0
    /// Logs the number of suppressed lines when it is due.
    var summary: Task<Void, Never>?
  }

  private let state = Mutex(State())
  private let write: @Sendable (String) -> Void
  private let start = ContinuousClock.now

  init(_ write: @escaping @Sendable (String) -> Void) { self.write = write }

  /// Writes a line, or counts it.
  func line(_ text: String) {
    let isWritten = state.withLock { state in
      // While lines are suppressed, the next line is their number.
      guard state.summary == nil, state.bucket.take(at: now) else {
        state.suppressed += 1
        if state.summary == nil { state.summary = summary(after: state.bucket.wait(at: now)) }
        return false
      }
      return true
    }
    if isWritten { write(text) }
  }

  /// Logs the number of the remaining suppressed lines.
  func end() { sum(isOver: true) }

  private var now: Duration { ContinuousClock.now - start }

  private func summary(after pause: Duration) -> Task<Void, Never> {
    Task {
      do { try await Task.sleep(for: pause) } catch { return }
      self.sum(isOver: false)
    }
  }

  private func sum(isOver: Bool) {
    let count = state.withLock { state in
      state.summary?.cancel()
      state.summary = nil
      guard state.suppressed > 0 else { return 0 }
      guard state.bucket.take(at: now) || isOver else {
        state.summary = summary(after: state.bucket.wait(at: now))
        return 0
      }
      defer { state.suppressed = 0 }
      return state.suppressed
    }
    if count > 0 { write("\(count) more \(count == 1 ? "connection was" : "connections were") rejected") }
  }
}

extension ExitEvaluation.Result {
  /// The accuracies of the exits and the majority baseline in a few words.
  fileprivate var line: String {
    func percent(_ share: Double) -> String { String(format: "%.1f %%", 100 * share) }
    let list = exits.map { "exit \($0.depth) \(percent($0.report.accuracy))" }.joined(separator: ", ")
    return "accuracy: \(list), majority class \(percent(exits.last?.report.majorityBaseline ?? 0))"
  }
}
