import Foundation
import Server
import Wire

/// Answers requests of HTTP, one a connection: so much of the protocol as a page that is only looked at needs, with a
/// bound on all that an unauthenticated peer can take.
///
/// FlyingFox's own server waits for a head of any length, for any time, and holds any number of connections.
package struct WebServer: Sendable {
  /// Where it listens, with the port that was chosen.
  package let endpoint: Endpoint
  private let listener: Listener
  private let connectionLimiter: ConnectionLimiter
  private let answer: @Sendable (WebRequest) async -> WebResponse

  /// Listens. Throws ``WireError/address(_:reason:)``.
  ///
  /// - Parameter answer: to a GET or a HEAD.
  package init(
    _ endpoint: Endpoint, answer: @escaping @Sendable (WebRequest) async -> WebResponse
  ) async throws(WireError) {
    self.init(try await Listener(endpoint), answer: answer)
  }

  /// The same at a port that is open.
  package init(_ listener: Listener, answer: @escaping @Sendable (WebRequest) async -> WebResponse) {
    self.listener = listener
    endpoint = listener.endpoint
    self.answer = answer
    var limits = ConnectionLimiter.Limits()
    (limits.total, limits.perAddress) = (WebLimits.connections, .max)
    connectionLimiter = ConnectionLimiter(limits)
  }

  /// Serves until ``shutDown()``; connections that are there then are cut off.
  package func run() async {
    await withDiscardingTaskGroup { group in
      while true {
        do {
          let connection = try await listener.acceptBytes()
          let (evictions, evict) = AsyncStream<Void>.makeStream()
          switch connectionLimiter.enter("", hangUp: { evict.finish() }) {
          case .welcome(let place, let evicted):
            group.addTask { await serve(connection, place, evictions) }
            await evicted?.ended()
          case .full: connection.close()
          }
        } catch WireError.closed {
          break
        } catch {
          // Too many descriptors are open: the clients of the federation need them more.
          try? await Task.sleep(for: .seconds(1))
        }
      }
      group.cancelAll()
    }
    listener.close()
  }

  /// Ends ``run()``.
  package func shutDown() { listener.shutDown() }

  private func serve(
    _ connection: ByteConnection, _ place: ConnectionLimiter.Place, _ evictions: AsyncStream<Void>
  ) async {
    await withDiscardingTaskGroup { group in
      let (ends, end) = AsyncStream<Void>.makeStream()
      group.addTask {
        try? await talk(connection)
        end.finish()
      }
      group.addTask {
        try? await Task.sleep(for: .seconds(WebLimits.seconds))
        end.finish()
      }
      group.addTask {
        for await _ in evictions {}
        end.finish()
      }
      for await _ in ends {}
      group.cancelAll()
    }
    connection.close()
    place.finish()
  }

  private func talk(_ connection: ByteConnection) async throws {
    var (request, response): (WebRequest?, WebResponse) = (nil, WebResponse(.headTooLong))
    if let head = try await head(connection) { (request, response) = await self.response(to: head) }
    try await connection.write(response.bytes(to: request, at: Date()))
    connection.finish()
    response.isSent()
    // To close with something unread would take the answer back.
    var rest = 0
    while rest < WebLimits.rest { rest += try await connection.read(atMost: 4096).bytes.count }
  }

  /// A request's head without the empty line behind it; nil where it is too long.
  private func head(_ connection: ByteConnection) async throws -> Data? {
    let mark = Data("\r\n\r\n".utf8)
    var received = Data()
    while received.count < WebLimits.head {
      let start = max(0, received.count - mark.count + 1)
      received += try await connection.read(atMost: WebLimits.head - received.count).bytes
      if let end = received.range(of: mark, in: start..<received.count) {
        return received[..<end.lowerBound]
      }
    }
    return nil
  }

  private func response(to head: Data) async -> (WebRequest?, WebResponse) {
    let request: WebRequest
    do {
      request = try WebRequest(head)
    } catch {
      return (nil, WebResponse(error == .hasBody ? .hasBody : .malformed))
    }
    // Where only this machine can come in, a browser that says another name was led here by that name's owner.
    guard !endpoint.isLoopback || request.host?.isLoopback ?? true else {
      return (request, WebResponse(.misdirected))
    }
    guard request.method == "GET" || request.method == "HEAD" else {
      return (request, WebResponse(.notAllowed))
    }
    return (request, await answer(request))
  }
}
