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
