import CSSL
import Foundation

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
