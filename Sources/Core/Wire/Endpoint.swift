import FlyingSocks
import Foundation

/// The address of a server: `HOST:PORT`, `[IPV6]:PORT`; port 0 lets the system choose a port.
package struct Endpoint: Sendable, Hashable, CustomStringConvertible {
  package let host: String
  package let port: UInt16

  package init(host: String, port: UInt16) { (self.host, self.port) = (host, port) }

  /// Throws ``WireError/address(_:reason:)`` for text of another form.
  package init(parsing text: String) throws(WireError) {
    guard let colon = text.lastIndex(of: ":") else {
      throw .address(text, reason: "must be HOST:PORT")
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

  /// Whether traffic to it never leaves this machine, independent of name servers: `localhost`, addresses in
  /// 127.0.0.0/8 and ::1, also as IPv4-mapped IPv6 addresses. `127.example.org` is another machine.
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

/// An address of a host.
struct HostAddress: Sendable {
  /// The endpoint with the address instead of the host's name.
  let endpoint: Endpoint
  let socketAddress: any SocketAddress

  /// Whether it is an IPv6 address.
  var isIPv6: Bool { socketAddress is sockaddr_in6 }

  /// Returns all distinct addresses of an endpoint's host in the resolver's order of preference (RFC 6724). Throws
  /// ``WireError/address(_:reason:)`` if there are none.
  static func all(of endpoint: Endpoint) async throws(WireError) -> [HostAddress] {
    if case .success(let addresses) = lookUp(endpoint, isNumeric: true) { return addresses }
    // The resolver blocks while name servers do not answer, so it must not run on the shared threads of tasks.
    let (answers, answer) = AsyncStream<Result<[HostAddress], WireError>>.makeStream()
    Thread.detachNewThread {
      answer.yield(lookUp(endpoint, isNumeric: false))
      answer.finish()
    }
    for await result in answers { return try result.get() }
    throw .address("\(endpoint)", reason: "the lookup of its address was cancelled")
  }

  private static func lookUp(_ endpoint: Endpoint, isNumeric: Bool) -> Result<[HostAddress], WireError> {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = isNumeric ? AI_NUMERICHOST : 0
    var list: UnsafeMutablePointer<addrinfo>?
    let status = getaddrinfo(endpoint.host, nil, &hints, &list)
    defer { if let list { freeaddrinfo(list) } }
    guard status == 0 else {
      return .failure(.address("\(endpoint)", reason: String(cString: gai_strerror(status))))
    }
    let entries = sequence(first: list) { $0?.pointee.ai_next }.prefix { $0 != nil }
    var seen: Set<Endpoint> = []
    let addresses = entries.compactMap { $0.flatMap { HostAddress($0.pointee, port: endpoint.port) } }
      .filter { seen.insert($0.endpoint).inserted }
    guard !addresses.isEmpty else {
      return .failure(.address("\(endpoint)", reason: "it has no IPv4 or IPv6 address"))
    }
    return .success(addresses)
  }

  private init?(_ entry: addrinfo, port: UInt16) {
    guard let address = entry.ai_addr else { return nil }
    let raw = UnsafeRawPointer(address)
    switch entry.ai_family {
    case AF_INET:
      var address = raw.loadUnaligned(as: sockaddr_in.self)
      address.sin_port = port.bigEndian
      socketAddress = address
    case AF_INET6:
      var address = raw.loadUnaligned(as: sockaddr_in6.self)
      address.sin6_port = port.bigEndian
      socketAddress = address
    default: return nil
    }
    var name = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    guard
      getnameinfo(address, entry.ai_addrlen, &name, socklen_t(name.count), nil, 0, NI_NUMERICHOST) == 0
    else { return nil }
    let end = name.firstIndex(of: 0) ?? name.endIndex
    let host = String(decoding: name[..<end].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    endpoint = Endpoint(host: host, port: port)
  }

  /// Returns the same address with another port.
  func with(port: UInt16) -> HostAddress {
    var copy = socketAddress
    if var address = copy as? sockaddr_in {
      address.sin_port = port.bigEndian
      copy = address
    } else if var address = copy as? sockaddr_in6 {
      address.sin6_port = port.bigEndian
      copy = address
    }
    return HostAddress(endpoint: Endpoint(host: endpoint.host, port: port), socketAddress: copy)
  }

  private init(endpoint: Endpoint, socketAddress: any SocketAddress) {
    (self.endpoint, self.socketAddress) = (endpoint, socketAddress)
  }
}
