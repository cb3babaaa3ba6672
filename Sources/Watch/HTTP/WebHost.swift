import Foundation
import Wire

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
