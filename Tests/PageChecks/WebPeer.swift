import Foundation
import Wire

/// An HTTP client that sends arbitrary text.
package struct WebPeer: Sendable {
  /// A response.
  package struct Answer: Sendable {
    package let status: Int
    /// The headers by lower-case name.
    package let headers: [String: String]
    package let body: String
  }

  /// The error of an invalid response.
  package struct NoAnswer: Error {
    package let text: String
  }

  private let endpoint: Endpoint

  package init(_ endpoint: Endpoint) { self.endpoint = endpoint }

  /// Requests a path.
  package func get(_ path: String, _ headers: String...) async throws -> Answer {
    let lines = ["GET \(path) HTTP/1.1", "Host: \(endpoint)"] + headers
    return try await say(lines.joined(separator: "\r\n") + "\r\n\r\n")
  }

  /// Sends a text and reads until the server closes the connection. Throws ``NoAnswer``.
  package func say(_ text: String) async throws -> Answer {
    let connection = try await open(saying: text)
    defer { connection.close() }
    var whole = Data()
    while let bytes = try? await connection.read(atMost: 1 << 16).bytes { whole += bytes }
    let answer = String(decoding: whole, as: UTF8.self)
    guard let end = answer.range(of: "\r\n\r\n"), answer.hasPrefix("HTTP/1.1 "),
      let status = Int(answer.dropFirst(9).prefix(3))
    else { throw NoAnswer(text: answer) }
    let pairs = answer[..<end.lowerBound].components(separatedBy: "\r\n").dropFirst().map { line in
      let colon = line.firstIndex(of: ":") ?? line.startIndex
      return (line[..<colon].lowercased(), String(line[colon...].dropFirst(2)))
    }
    return Answer(
      status: status, headers: Dictionary(pairs) { $1 }, body: String(answer[end.upperBound...]))
  }

  /// Connects and sends a text. Returns the open connection.
  package func open(saying text: String) async throws -> ByteConnection {
    let connection = try await ByteConnection.connect(to: endpoint)
    if !text.isEmpty { try await connection.write(Data(text.utf8)) }
    return connection
  }
}
