import CSSL
import Foundation

/// Unused enrolment codes: one file each, named after the digest of the secret, with the client's name and the time of
/// expiry. The secret is not stored.
extension CertificateFolder {
  /// The validity of a code in hours.
  package static let enrolmentHours = 48

  private var enrolments: KeyFiles { KeyFiles(folder: files.url("enrolments")) }

  /// Creates a code with which `name` can fetch a certificate once. Throws ``CertificateError``, also if certificates
  /// cannot be issued here.
  package func enrol(_ name: String, now: Date = Date()) throws(CertificateError) -> EnrolmentCode {
    let code = EnrolmentCode(name: name, authority: try authority.certificate)
    try enrolments.create()
    let until = Int(now.timeIntervalSince1970) + Self.enrolmentHours * 3600
    try enrolments.write("\(name) \(until)\n", to: Self.file(code.secret))
    return code
  }

  /// Issues the certificate for a request in PEM and consumes the code. Returns nil if the code is invalid, used, or
  /// for another name. Throws ``CertificateError``; the code then remains valid.
  package func issue(
    _ request: String, name: String, days: Int, for secret: String, now: Date = Date()
  ) throws(CertificateError) -> Certificate? {
    let file = Self.file(secret)
    guard let code = try code(file), code.name == name, now <= code.expires else { return nil }
    let certificate = try issue(try SigningRequest(pem: request), name: name, days: days)
    // Of two concurrent requests, only one can remove the file; the other certificate is discarded.
    return try enrolments.remove(file) ? certificate : nil
  }

  /// An unused, valid code.
  package struct OpenCode: Sendable, Hashable, Encodable {
    package let name: String
    /// The time of expiry.
    package let expires: Date
  }

  /// Returns the unused, valid codes, ordered by name and then by expiry. Throws ``CertificateError``.
  package func openCodes(now: Date = Date()) throws(CertificateError) -> [OpenCode] {
    var codes: [OpenCode] = []
    for file in try enrolments.names {
      if let code = try code(file), code.expires >= now { codes.append(code) }
    }
    return codes.sorted { ($0.name, $0.expires) < ($1.name, $1.expires) }
  }

  /// Withdraws all codes of a client. Returns the number of those that were valid. Throws ``CertificateError``.
  func withdrawCodes(of name: String, now: Date = Date()) throws(CertificateError) -> Int {
    var count = 0
    for file in try enrolments.names {
      guard let code = try code(file), code.name == name else { continue }
      // A code used at the same time is already exchanged for a certificate.
      if try enrolments.remove(file), code.expires >= now { count += 1 }
    }
    return count
  }

  /// Returns the code in a file; nil if there is no file or no code in it. Throws ``CertificateError`` if it cannot be
  /// read.
  private func code(_ file: String) throws(CertificateError) -> OpenCode? {
    guard try enrolments.exists(file) else { return nil }
    let words: [[Substring]]
    do { words = try enrolments.lines(file) { $0 } } catch {
      // A concurrent request may have used and removed it.
      guard try enrolments.exists(file) else { return nil }
      throw error
    }
    guard let line = words.first, line.count == 2, let until = TimeInterval(line[1]) else { return nil }
    return OpenCode(name: String(line[0]), expires: Date(timeIntervalSince1970: until))
  }

  private static func file(_ secret: String) -> String {
    var bytes = [UInt8](repeating: 0, count: 32)
    precondition(EVP_Digest(Array(secret.utf8), secret.utf8.count, &bytes, nil, EVP_sha256(), nil) == 1)
    return bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}

/// A one-time code with which a new device fetches its certificate. It contains the device's name, a secret that the
/// server knows, and a pin of the server's authority, with which the device authenticates the server.
///
/// The format is `NAME.` and 42 letters and digits (Crockford's base 32: no I, L, O, U): 80 bits of secret and 130 bits
/// of the authority's SHA-256.
package struct EnrolmentCode: Sendable, Hashable, CustomStringConvertible {
  package let name: String
  /// 16 characters.
  package let secret: String
  /// 26 characters.
  package let pin: String

  private static let digits = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)

  /// Creates a code for a client of an authority.
  package init(name: String, authority: Certificate) {
    var bytes = [UInt8](repeating: 0, count: 10)
    precondition(RAND_bytes(&bytes, 10) == 1, "the system has no randomness")
    (self.name, secret, pin) = (name, Self.text(bytes, count: 16), Self.pin(of: authority))
  }

  /// Parses a code; nil for other text. White space around it, as files and mails add it, is ignored. After the name,
  /// hyphens, blanks, lower case and letters that resemble digits are accepted.
  package init?(_ text: String) {
    let text = text.trimmingCharacters(in: .whitespacesAndNewlines.union(["\u{FEFF}"]))
    guard let dot = text.lastIndex(of: "."), dot > text.startIndex else { return nil }
    let body = text[text.index(after: dot)...].uppercased().filter { $0 != "-" && !$0.isWhitespace }
      .map { ["O": "0", "I": "1", "L": "1"][$0] ?? $0 }
    guard body.count == 42, body.allSatisfy({ $0.isASCII && Self.digits.contains($0.asciiValue ?? 0) }) else {
      return nil
    }
    (name, secret, pin) = (String(text[..<dot]), String(body.prefix(16)), String(body.dropFirst(16)))
  }

  package var description: String {
    let body = Array(secret + pin)
    let groups = stride(from: 0, to: body.count, by: 6).map { String(body[$0..<$0 + 6]) }
    return "\(name).\(groups.joined(separator: "-"))"
  }

  /// Returns the part of an authority's digest that its codes contain.
  package static func pin(of authority: Certificate) -> String { text(authority.fingerprint, count: 26) }

  /// Returns the first `count` digits of the bytes, five bits each.
  private static func text(_ bytes: [UInt8], count: Int) -> String {
    let letters = (0..<count).map { index -> UInt8 in
      let bit = 5 * index
      let pair = UInt16(bytes[bit / 8]) << 8 | (bit / 8 + 1 < bytes.count ? UInt16(bytes[bit / 8 + 1]) : 0)
      return digits[Int(pair >> (11 - UInt16(bit % 8)) & 31)]
    }
    return String(decoding: letters, as: UTF8.self)
  }
}
