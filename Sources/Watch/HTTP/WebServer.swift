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

/// The host that a request says it is for (RFC 9110, section 7.2), without its port.
///
/// A page from anywhere may have its own name lead to this machine (DNS rebinding), and would then be allowed to read
/// what is answered here; but its browser still says that name.
package struct WebHost: Sendable, Hashable {
  /// In lower case, an IPv6 address without its brackets.
  package let name: String

  /// Reads a Host field: `NAME`, `NAME:PORT`, `[IPV6]`, `[IPV6]:PORT`. Nil where it is none.
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

  /// Whether it names the machine itself, whatever a name server says. `127.example.org` does not.
  package var isLoopback: Bool { Endpoint(host: name, port: 0).isLoopback }
}

/// Bounds of what a web browser, or somebody who pretends to be one, may take, each with its reason.
package enum WebLimits {
  /// Bytes of a request's head: browsers send under 2 KiB.
  package static let head = 8 << 10
  /// Seconds of a connection from its beginning to its end: a page is under 200 KB, and of a thousand clients 1 MB.
  package static var seconds: Int { 15 * WireLimits.slack }
  /// Connections at once. The next takes the place of the oldest: an honest one is over in a moment.
  package static let connections = 64
  /// Bytes that are read and thrown away behind an answer, so that it is not lost with its connection.
  package static let rest = 64 << 10
  /// Clients that are shown one by one, those first that were heard last; the others only in sums.
  package static let clients = 2000
  /// How long an open page waits before it asks again.
  package static let pagePause = Duration.seconds(2)
  /// How much later than expected somebody who looks regularly may be and not have gone: a page has a second try.
  package static var lateness: Duration { .seconds(3) * WireLimits.slack }
  /// How long those who look regularly are waited for after the job's end, so that they hear of it; and after a signal,
  /// where somebody waits for the server to be gone.
  package static var farewell: Duration { .seconds(20) * WireLimits.slack }
  package static var hastyFarewell: Duration { .seconds(5) * WireLimits.slack }
}
