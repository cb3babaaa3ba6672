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

  /// Uses a code up. Returns whether it was valid for the name: whoever uses it second is refused.
  package func redeem(_ secret: String, for name: String, now: Date = Date()) -> Bool {
    let file = Self.file(secret)
    guard let words = enrolments.lines(file).first, words.count == 2, words[0] == name,
      let until = TimeInterval(words[1])
    else { return false }
    // Of two at once only one can remove it.
    return unlink(enrolments.url(file).path) == 0 && now.timeIntervalSince1970 <= until
  }

  private static func file(_ secret: String) -> String {
    var bytes = [UInt8](repeating: 0, count: 32)
    precondition(EVP_Digest(Array(secret.utf8), secret.utf8.count, &bytes, nil, EVP_sha256(), nil) == 1)
    return bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
