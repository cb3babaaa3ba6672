import Foundation
import Server
import Wire

/// An HTTP server with one request per connection. It implements the part of the protocol that a read-only page needs,
/// and limits every resource that an unauthenticated peer can use.
///
/// FlyingFox's server limits neither the length of a head, nor the time to send it, nor the number of connections.
package struct WebServer: Sendable {
  /// The address that the server listens on, with the port that was chosen.
  package let endpoint: Endpoint
  private let listener: Listener
  private let connectionLimiter: ConnectionLimiter
  private let answer: @Sendable (WebRequest) async -> WebResponse

  /// Starts listening. Throws ``WireError/address(_:reason:)``.
  ///
  /// - Parameter answer: returns the response to a GET or HEAD request.
  package init(
    _ endpoint: Endpoint, answer: @escaping @Sendable (WebRequest) async -> WebResponse
  ) async throws(WireError) {
    self.init(try await Listener(endpoint), answer: answer)
  }

  /// Uses a port that is already open.
  package init(_ listener: Listener, answer: @escaping @Sendable (WebRequest) async -> WebResponse) {
    self.listener = listener
    endpoint = listener.endpoint
    self.answer = answer
    var limits = ConnectionLimiter.Limits()
    (limits.total, limits.perAddress) = (WebLimits.connections, .max)
    connectionLimiter = ConnectionLimiter(limits)
  }

  /// Serves until ``shutDown()``, which also ends open connections.
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
          // Too many descriptors are open, and the clients of the federation need them more.
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
    // Closing a connection with unread bytes would discard the response.
    var rest = 0
    while rest < WebLimits.rest { rest += try await connection.read(atMost: 4096).bytes.count }
  }

  /// Returns the head of a request without the empty line at its end; nil if it is too long.
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
    // On a loopback address, a request for another host comes from DNS rebinding.
    guard !endpoint.isLoopback || request.host?.isLoopback ?? true else {
      return (request, WebResponse(.misdirected))
    }
    guard request.method == "GET" || request.method == "HEAD" else {
      return (request, WebResponse(.notAllowed))
    }
    return (request, await answer(request))
  }
}

/// The host that a request is for (RFC 9110, section 7.2), without its port.
///
/// Any web page can make its host name resolve to this machine (DNS rebinding), and its scripts could then read the
/// responses. Its browser still sends the page's host name, so that such requests can be rejected.
package struct WebHost: Sendable, Hashable {
  /// The name in lower case, or an IPv6 address without brackets.
  package let name: String

  /// Reads a Host field: `NAME`, `NAME:PORT`, `[IPV6]` or `[IPV6]:PORT`; nil for anything else.
  package init?(_ field: String) {
    var (host, port) = (field[...], ""[...])
    if let end = field.lastIndex(of: "]"), field.hasPrefix("[") {
      (host, port) = (field[..<end].dropFirst(), field[field.index(after: end)...])
      guard port.isEmpty || port.hasPrefix(":") else { return nil }
      port = port.dropFirst()
    } else if let colon = field.lastIndex(of: ":") {
      (host, port) = (field[..<colon], field[field.index(after: colon)...])
      guard !host.contains(":") else { return nil }
    }
    guard !host.isEmpty, host.allSatisfy({ $0.isASCII && !$0.isWhitespace }), port.allSatisfy(\.isNumber)
    else {
      return nil
    }
    name = host.lowercased()
  }

  /// Whether the name is a loopback address or `localhost`, without a look-up. `127.example.org` is not.
  package var isLoopback: Bool { Endpoint(host: name, port: 0).isLoopback }
}

/// The limits on what an HTTP client may use, with their reasons.
package enum WebLimits {
  /// The maximum bytes of a request's head; browsers send less than 2 KiB.
  package static let head = 8 << 10
  /// The maximum duration of a connection in seconds: a page has less than 200 KB, and 1 MB with a thousand clients.
  package static var seconds: Int { 15 * WireLimits.slack }
  /// The maximum number of connections. A new one replaces the oldest, since a normal one ends in a moment.
  package static let connections = 64
  /// The maximum bytes that are read and discarded after a response, so that it is not lost with its connection.
  package static let rest = 64 << 10
  /// The maximum number of clients shown individually, the latest first; the others appear in sums only.
  package static let clients = 2000
  /// The interval at which an open page polls.
  package static let pagePause = Duration.seconds(2)
  /// How late a regular poll may be before its sender counts as gone; a page retries once.
  package static var lateness: Duration { .seconds(3) * WireLimits.slack }
  /// How long regular pollers can learn of the job's end before the server exits; ``hastyFarewell`` applies after a
  /// signal, when the server must exit soon.
  package static var farewell: Duration { .seconds(20) * WireLimits.slack }
  package static var hastyFarewell: Duration { .seconds(5) * WireLimits.slack }
}
