import Engine
import Foundation
import Server
import Support

/// The resources served over HTTP; all of them are read-only.
package struct Site: Sendable {
  private let snapshot: MetricsSnapshot

  package init(_ snapshot: MetricsSnapshot) { self.snapshot = snapshot }

  /// Returns the response to a GET or HEAD request.
  package func answer(_ request: WebRequest) async -> WebResponse {
    do {
      switch request.path {
      case "/healthz": return await health()
      case "/":
        guard let overview = try await snapshot.overview() else { return WebResponse(.unavailable) }
        let page = StatusPage(overview)
        var response = WebResponse(.ok, "text/html; charset=utf-8", Data(page.html.utf8))
        response.policy = StatusPage.policy
        return response
      case "/metrics":
        guard let overview = try await snapshot.overview() else { return WebResponse(.unavailable) }
        let text = Metrics(overview, ProcessUse.now).text
        return WebResponse(.ok, "text/plain; version=0.0.4; charset=utf-8", Data(text.utf8))
      default: return try await api(request.path)
      }
    } catch {
      // The server's log has the error of the database; the response must not disclose it.
      return WebResponse(.failed)
    }
  }

  private func api(_ path: String) async throws -> WebResponse {
    guard ["/api/overview", "/api/rounds", "/api/clients", "/api/layers"].contains(path) else {
      return WebResponse(.notFound)
    }
    guard let overview = try await snapshot.overview() else { return WebResponse(.unavailable) }
    switch path {
    case "/api/rounds": return try Self.json(overview.rounds)
    case "/api/clients": return try Self.json(overview.clients)
    case "/api/layers": return try Self.json(overview.layers)
    default: return try Self.json(overview)
    }
  }

  private func health() async -> WebResponse {
    let isAlive = await snapshot.isAlive()
    return WebResponse(
      isAlive ? .ok : .unavailable, Self.jsonType,
      Data((isAlive ? #"{"status":"ok"}"# : #"{"status":"the coordinator does not answer"}"#).utf8))
  }

  private static let jsonType = "application/json"

  private static func json(_ value: some Encodable) throws -> WebResponse {
    WebResponse(.ok, jsonType, try JSON.shown(value, isIndented: false) + Data("\n".utf8))
  }
}

/// A question to a component that may not answer. Concurrent callers share one question.
package actor Question<Answer: Sendable> {
  private let ask: @Sendable () async -> Answer
  private var waiters: [Int: CheckedContinuation<Answer?, Never>] = [:]
  private var count = 0
  private var isAsked = false

  /// - Parameter ask: returns the answer; it may never return.
  package init(_ ask: @escaping @Sendable () async -> Answer) { self.ask = ask }

  /// Returns the answer; nil if there is none within `patience`.
  package func answer(within patience: Duration) async -> Answer? {
    count += 1
    let number = count
    let limit = Task {
      try? await Task.sleep(for: patience)
      self.resume(number, nil)
    }
    defer { limit.cancel() }
    return await withCheckedContinuation { waiter in
      waiters[number] = waiter
      guard !isAsked else { return }
      isAsked = true
      Task { self.arrived(await self.ask()) }
    }
  }

  private func arrived(_ answer: Answer) {
    isAsked = false
    for number in waiters.keys { resume(number, answer) }
  }

  private func resume(_ number: Int, _ answer: Answer?) {
    waiters.removeValue(forKey: number)?.resume(returning: answer)
  }
}
