import Federation
import Foundation

/// The head of a request of HTTP/1 (RFC 9112), as far as somebody who only answers GET needs it.
package struct WebRequest: Sendable, Hashable {
  package let method: String
  /// Without its query.
  package let path: String
  /// By names in lower case; of several of a name the last.
  package let headers: [String: String]

  /// Why there is no answer to a request but that it is none.
  package enum Problem: Error, Hashable {
    case malformed
    /// Nothing that is said here has a body.
    case hasBody
  }

  /// Reads a head without the empty line that ends it. Throws ``Problem``.
  package init(_ head: Data) throws(Problem) {
    // Without what a recipient of text might take for a line's end, or for none.
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
    // What a request is for must be said once (RFC 9112, section 3.2).
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

  /// Whom it is for; nil where an old browser does not say.
  package var host: WebHost? { headers["host"].flatMap(WebHost.init) }

  /// Whether the asker has the version with this tag already.
  package func holds(_ tag: String) -> Bool {
    let tags = (headers["if-none-match"] ?? "").split(separator: ",").map {
      $0.trimmingCharacters(in: .whitespaces)
    }
    // A proxy that compresses what passes makes the tag a weak one.
    return tags.contains { $0 == tag || $0 == "W/" + tag || $0 == "*" }
  }
}

/// An answer of HTTP/1.1, the only one on its connection.
package struct WebResponse: Sendable {
  /// The codes that are used here (RFC 9110, section 15).
  package enum Status: Int, Sendable {
    case ok = 200
    case notModified = 304
    case malformed = 400
    case notFound = 404
    case notAllowed = 405
    case hasBody = 413
    /// Meant for a host that this is not.
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
  /// With its character set.
  package var type: String
  package var body: Data
  /// What a page may load: nothing, where it is none.
  package var policy = "default-src 'none'; frame-ancestors 'none'"
  /// Called when it is on its way.
  package var isSent: @Sendable () -> Void = {}

  package init(_ status: Status, _ type: String, _ body: Data) {
    (self.status, self.type, self.body) = (status, type, body)
  }

  /// A line of text that says what is wrong.
  package init(_ status: Status) {
    self.init(status, "text/plain; charset=utf-8", Data("\(status.rawValue) \(status.phrase)\n".utf8))
  }

  /// Of the body: the same tag, the same bytes.
  package var tag: String { "\"\(Digest(of: body).description.prefix(32))\"" }

  /// What is sent at a time: the head and, unless the asker wants none or has it, the body.
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

  /// IMF-fixdate (RFC 9110, section 5.6.7).
  private static let date: DateFormatter = {
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.timeZone = TimeZone(identifier: "GMT")
    formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
    return formatter
  }()
}
