import CSSL
import Foundation
import Support

/// What a server's certificate says it is reached by.
extension Certificate {
  /// Names and addresses, in their order; none in a client's certificate.
  package var hosts: [String] {
    guard let extensions = X509_get_ext_d2i(pointer, NID_subject_alt_name, nil, nil) else { return [] }
    let names = OpaquePointer(extensions)
    defer { GENERAL_NAMES_free(names) }
    return (0..<max(OPENSSL_sk_num(names), 0)).compactMap { index in
      OPENSSL_sk_value(names, index).flatMap { Self.host($0.assumingMemoryBound(to: GENERAL_NAME.self)) }
    }
  }

  /// Those that `fedserver certificate server NAME` would not put there by itself.
  package var otherHosts: [String] {
    let given = [name] + Self.loopback
    return hosts.filter { !given.contains($0) }
  }

  /// What every machine calls itself.
  package static let loopback = ["localhost", "127.0.0.1", "::1"]

  /// Whether a client that calls its server so may believe this certificate. An address is compared with addresses,
  /// a name with names.
  package func isFor(_ host: String) -> Bool {
    let verdict = X509_check_ip_asc(pointer, host, 0)
    // -2: it is no address.
    return verdict == -2 ? X509_check_host(pointer, host, host.utf8.count, 0, nil) == 1 : verdict == 1
  }

  private static func host(_ name: UnsafePointer<GENERAL_NAME>) -> String? {
    switch name.pointee.type {
    case GEN_DNS:
      guard let bytes = bytes(name.pointee.d.dNSName) else { return nil }
      return ForeignText(utf8: bytes).description
    case GEN_IPADD:
      guard let bytes = bytes(name.pointee.d.iPAddress), [4, 16].contains(bytes.count) else { return nil }
      var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
      let family = bytes.count == 4 ? AF_INET : AF_INET6
      guard inet_ntop(family, bytes, &text, socklen_t(text.count)) != nil else { return nil }
      return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    default: return nil
    }
  }

  private static func bytes(_ text: UnsafeMutablePointer<ASN1_STRING>?) -> [UInt8]? {
    guard let text, let start = ASN1_STRING_get0_data(text) else { return nil }
    return Array(UnsafeBufferPointer(start: start, count: Int(ASN1_STRING_length(text))))
  }
}
