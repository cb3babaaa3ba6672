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
