import Foundation

/// Where a server listens: `HOST:PORT`, `[IPV6]:PORT`; port 0 lets the system choose one.
package struct Endpoint: Sendable, Hashable, CustomStringConvertible {
  package let host: String
  package let port: UInt16

  package init(host: String, port: UInt16) { (self.host, self.port) = (host, port) }

  /// Throws ``WireError/address(_:reason:)`` for a text of another form.
  package init(parsing text: String) throws(WireError) {
    guard let colon = text.lastIndex(of: ":") else {
      throw .address(text, reason: "a HOST:PORT is wanted")
    }
    var host = text[..<colon]
    if host.hasPrefix("[") && host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    guard let port = UInt16(text[text.index(after: colon)...]) else {
      throw .address(text, reason: "the port is not a number from 0 to 65535")
    }
    guard !host.isEmpty else { throw .address(text, reason: "the host is missing") }
    (self.host, self.port) = (String(host), port)
  }

  package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

  /// Whether what is sent there never leaves this machine, whatever a name server says: `localhost` does not, nor does an
  /// address of 127.0.0.0/8 or ::1, and neither does such an IPv4 address that is written as one of IPv6.
  /// `127.example.org` is another machine.
  package var isLoopback: Bool {
    var (four, six) = (in_addr(), in6_addr())
    if inet_pton(AF_INET, host, &four) == 1 { return UInt32(bigEndian: four.s_addr) >> 24 == 127 }
    guard inet_pton(AF_INET6, host, &six) == 1 else { return host.lowercased() == "localhost" }
    return withUnsafeBytes(of: &six) { bytes in
      let isMapped = bytes.prefix(10).allSatisfy { $0 == 0 } && bytes[10] == 0xff && bytes[11] == 0xff
      return isMapped ? bytes[12] == 127 : bytes.dropLast().allSatisfy { $0 == 0 } && bytes[15] == 1
    }
  }
}
