import Federation
import Foundation

/// The head of an HTTP/1 request (RFC 9112), as far as a server that answers only GET and HEAD needs it.
package struct WebRequest: Sendable, Hashable {
  package let method: String
  /// The path without the query.
  package let path: String
  /// The headers by lower-case name; the last value of a repeated header.
  package let headers: [String: String]

  /// The reason why a request is rejected.
  package enum Problem: Error, Hashable {
    case malformed
    /// The request has a body, which no request here may have.
    case hasBody
  }

  /// Reads a head without the empty line at its end. Throws ``Problem``.
  package init(_ head: Data) throws(Problem) {
    // Rejects null bytes and invalid UTF-8, which other software may take for the end of a line.
    guard let text = String(bytes: head, encoding: .utf8), !text.contains("\0") else { throw .malformed }
    let lines = text.split(separator: "\r\n", omittingEmptySubsequences: false)
    let words = (lines.first ?? "").split(separator: " ", omittingEmptySubsequences: false)
    guard words.count == 3, words[2] == "HTTP/1.1" || words[2] == "HTTP/1.0", words[1].hasPrefix("/"),
      !words[0].isEmpty, words[0].allSatisfy({ $0.isASCII && $0.isLetter })
    else { throw .malformed }
    var (headers, hosts): ([String: String], Int) = ([:], 0)
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":"), colon > line.startIndex,
        line[..<colon].allSatisfy({ $0.isASCII && !$0.isWhitespace })
      else { throw .malformed }
      let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
      let name = line[..<colon].lowercased()
      headers[name] = value
      hosts += name == "host" ? 1 : 0
    }
    // A request must have exactly one Host field (RFC 9112, section 3.2).
    guard hosts == 1 || hosts == 0 && words[2] == "HTTP/1.0",
      headers["host"].map({ WebHost($0) != nil }) ?? true
    else { throw .malformed }
    guard headers["transfer-encoding"] == nil, ["0", nil].contains(headers["content-length"]) else {
      throw .hasBody
    }
    method = String(words[0])
    path = String(words[1].prefix { $0 != "?" })
    self.headers = headers
  }

  /// The host that the request is for; nil if an old browser does not send it.
  package var host: WebHost? { headers["host"].flatMap(WebHost.init) }

  /// Returns whether the client already has the version with this tag.
  package func holds(_ tag: String) -> Bool {
    let tags = (headers["if-none-match"] ?? "").split(separator: ",").map {
      $0.trimmingCharacters(in: .whitespaces)
    }
    // A proxy that compresses responses weakens the tag.
    return tags.contains { $0 == tag || $0 == "W/" + tag || $0 == "*" }
  }
}

/// A response of HTTP/1.1, the only one on its connection.
package struct WebResponse: Sendable {
  /// The status codes in use (RFC 9110, section 15).
  package enum Status: Int, Sendable {
    case ok = 200
    case notModified = 304
    case malformed = 400
    case notFound = 404
    case notAllowed = 405
    case hasBody = 413
    /// The request is for another host.
    case misdirected = 421
    case headTooLong = 431
    case failed = 500
    case unavailable = 503

    var phrase: String {
      switch self {
      case .ok: "OK"
      case .notModified: "Not Modified"
      case .malformed: "Bad Request"
      case .notFound: "Not Found"
      case .notAllowed: "Method Not Allowed"
      case .hasBody: "Content Too Large"
      case .misdirected: "Misdirected Request"
      case .headTooLong: "Request Header Fields Too Large"
      case .failed: "Internal Server Error"
      case .unavailable: "Service Unavailable"
      }
    }
  }

  package var status: Status
  /// The media type, with its character set.
  package var type: String
  package var body: Data
  /// The Content-Security-Policy; by default it permits nothing.
  package var policy = "default-src 'none'; frame-ancestors 'none'"
  /// Called when the response has been sent.
  package var isSent: @Sendable () -> Void = {}

  package init(_ status: Status, _ type: String, _ body: Data) {
    (self.status, self.type, self.body) = (status, type, body)
  }

  /// Creates a line of text that names the error.
  package init(_ status: Status) {
    self.init(status, "text/plain; charset=utf-8", Data("\(status.rawValue) \(status.phrase)\n".utf8))
  }

  /// The entity tag of the body; equal bodies have equal tags.
  package var tag: String { "\"\(Digest(of: body).description.prefix(32))\"" }

  /// Returns the bytes to send: the head and, unless the client wants none or has it already, the body.
  package func bytes(to request: WebRequest?, at now: Date) -> Data {
    var (status, body) = (self.status, self.body)
    if status == .ok, let request, request.holds(tag) { (status, body) = (.notModified, Data()) }
    var lines = [
      "HTTP/1.1 \(status.rawValue) \(status.phrase)", "Date: \(Self.date.string(from: now))",
      "Connection: close", "Cache-Control: no-cache", "X-Content-Type-Options: nosniff",
      "Referrer-Policy: no-referrer", "Cross-Origin-Resource-Policy: same-origin",
      "Content-Security-Policy: \(policy)",
    ]
    if self.status == .ok { lines.append("ETag: \(tag)") }
    if status == .notAllowed { lines.append("Allow: GET, HEAD") }
    if status != .notModified {
      lines += ["Content-Type: \(type)", "Content-Length: \(body.count)"]
    }
    if request?.method == "HEAD" { body = Data() }
    return Data((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + body
  }

  /// The format IMF-fixdate (RFC 9110, section 5.6.7).
  private static let date: DateFormatter = {
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.timeZone = TimeZone(identifier: "GMT")
    formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
    return formatter
  }()
}
