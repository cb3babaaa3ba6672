import CSSL
import Foundation

/// Codes that were given out and not used yet: a file each, named after the digest of its secret, with the
/// client's name and until when it may be used. The secret itself is kept nowhere.
extension CertificateFolder {
  /// How long a code can be used.
  package static let enrolmentHours = 48

  private var enrolments: KeyFiles { KeyFiles(folder: files.url("enrolments")) }

  /// A code with which `name` can fetch a certificate once. Throws ``CertificateError``, also where nothing
  /// could be issued.
  package func enrol(_ name: String, now: Date = Date()) throws(CertificateError) -> EnrolmentCode {
    let code = EnrolmentCode(name: name, authority: try authority.certificate)
    try enrolments.create()
    let until = Int(now.timeIntervalSince1970) + Self.enrolmentHours * 3600
    try enrolments.write("\(name) \(until)\n", to: Self.file(code.secret))
    return code
  }

  /// Issues the certificate that a code was made for, for a request in PEM, and uses the code up. Returns nil where the
  /// code is not good, or not for the name: whoever uses it second is rejected. Throws ``CertificateError``; the code
  /// is as good as before then.
  package func issue(
    _ request: String, name: String, days: Int, for secret: String, now: Date = Date()
  ) throws(CertificateError) -> Certificate? {
    let file = Self.file(secret)
    guard let code = try code(file), code.name == name, now <= code.expires else { return nil }
    let certificate = try issue(try SigningRequest(pem: request), name: name, days: days)
    // Of two at once only one can remove it; what the other was issued nobody gets.
    return try enrolments.remove(file) ? certificate : nil
  }

  /// A code that was given out and can still be used.
  package struct OpenCode: Sendable, Hashable, Encodable {
    package let name: String
    /// When it is not good any more.
    package let expires: Date
  }

  /// Codes that can still be used, by name and then by how long. Throws ``CertificateError``.
  package func openCodes(now: Date = Date()) throws(CertificateError) -> [OpenCode] {
    var codes: [OpenCode] = []
    for file in try enrolments.names {
      if let code = try code(file), code.expires >= now { codes.append(code) }
    }
    return codes.sorted { ($0.name, $0.expires) < ($1.name, $1.expires) }
  }

  /// Makes all codes of a client worthless. Returns how many could still be used; throws ``CertificateError``.
  func withdrawCodes(of name: String, now: Date = Date()) throws(CertificateError) -> Int {
    var count = 0
    for file in try enrolments.names {
      guard let code = try code(file), code.name == name else { continue }
      // One that was used in this moment has become a certificate.
      if try enrolments.remove(file), code.expires >= now { count += 1 }
    }
    return count
  }

  /// What stands in the file of a code; nil where there is none, or no code in it. Throws ``CertificateError`` where it
  /// cannot be read.
  private func code(_ file: String) throws(CertificateError) -> OpenCode? {
    guard try enrolments.exists(file) else { return nil }
    let words: [[Substring]]
    do { words = try enrolments.lines(file) { $0 } } catch {
      // Whoever has used it in this moment has removed it.
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

/// A one-time code with which a new device fetches its certificate: its name, a secret that the server knows, and
/// what the server's authority must look like, so that the device need not believe whoever answers.
///
/// `NAME.` and 42 letters and digits (base 32 after Crockford: no I, L, O, U): 80 bits of secret and 130 bits
/// of the authority's SHA-256.
package struct EnrolmentCode: Sendable, Hashable, CustomStringConvertible {
  package let name: String
  /// 16 characters.
  package let secret: String
  /// 26 characters.
  package let pin: String

  private static let digits = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)

  /// A new code for a client of an authority.
  package init(name: String, authority: Certificate) {
    var bytes = [UInt8](repeating: 0, count: 10)
    precondition(RAND_bytes(&bytes, 10) == 1, "the system has no randomness")
    (self.name, secret, pin) = (name, Self.text(bytes, count: 16), Self.pin(of: authority))
  }

  /// Reads a code; nil where it is none. Blanks and ends of lines around it are passed over, as a file or a mail adds
  /// them; hyphens, blanks and lower case are allowed behind the name, and the letters that are taken for digits.
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

  /// The part of an authority's digest that is in its codes.
  package static func pin(of authority: Certificate) -> String { text(authority.fingerprint, count: 26) }

  /// The first digits of bytes, five bits each.
  private static func text(_ bytes: [UInt8], count: Int) -> String {
    let letters = (0..<count).map { index -> UInt8 in
      let bit = 5 * index
      let pair = UInt16(bytes[bit / 8]) << 8 | (bit / 8 + 1 < bytes.count ? UInt16(bytes[bit / 8 + 1]) : 0)
      return digits[Int(pair >> (11 - UInt16(bit % 8)) & 31)]
    }
    return String(decoding: letters, as: UTF8.self)
  }
}
