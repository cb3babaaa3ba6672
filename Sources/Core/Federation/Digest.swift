import CSSL
import Foundation

/// A SHA-256 digest, which identifies a version of a layer, a base or an update.
package struct Digest: Sendable, Hashable, Comparable, CustomStringConvertible {
  /// 64 lower-case hexadecimal digits.
  package let description: String

  /// Computes the digest of bytes.
  package init(of bytes: Data) {
    var hasher = Hasher256()
    hasher.update(bytes)
    self = hasher.finish()
  }

  /// Parses 64 hexadecimal digits; nil for other text, so that a digest is safe as a file name.
  package init?(_ text: String) {
    let (digits, letters) = (UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"))
    guard text.utf8.count == 64, text.utf8.allSatisfy({ digits.contains($0) || letters.contains($0) }) else {
      return nil
    }
    description = text
  }

  /// Creates a digest of its 32 bytes.
  package init(bytes: some Collection<UInt8>) {
    precondition(bytes.count == 32, "a digest of \(bytes.count) bytes")
    let digits = Array("0123456789abcdef".utf8)
    description = String(
      decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  /// The 32 bytes of the digest.
  package var data: Data {
    let digits = Array(description.utf8)
    func value(_ digit: UInt8) -> UInt8 { digit <= UInt8(ascii: "9") ? digit - 48 : digit - 87 }
    return Data(
      stride(from: 0, to: digits.count, by: 2).map { value(digits[$0]) << 4 | value(digits[$0 + 1]) })
  }

  package static func < (one: Digest, other: Digest) -> Bool { one.description < other.description }
}

extension Digest: Codable {
  package init(from decoder: any Swift.Decoder) throws {
    let value = try decoder.singleValueContainer()
    let text = try value.decode(String.self)
    guard let digest = Digest(text) else {
      throw DecodingError.dataCorruptedError(in: value, debugDescription: "not a SHA-256 digest")
    }
    self = digest
  }

  package func encode(to encoder: any Swift.Encoder) throws {
    var value = encoder.singleValueContainer()
    try value.encode(description)
  }
}

/// Computes SHA-256 incrementally.
package struct Hasher256: ~Copyable {
  private let context: OpaquePointer

  package init() {
    guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else {
      preconditionFailure("no memory for a SHA-256 context")
    }
    self.context = context
  }

  deinit { EVP_MD_CTX_free(context) }

  package mutating func update(_ bytes: Data) { bytes.withUnsafeBytes { update($0) } }

  package mutating func update(_ bytes: UnsafeRawBufferPointer) {
    precondition(EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1)
  }

  package consuming func finish() -> Digest { restart() }

  /// Returns the digest of the bytes so far and starts a new one.
  package mutating func restart() -> Digest {
    var bytes = [UInt8](repeating: 0, count: 32)
    precondition(EVP_DigestFinal_ex(context, &bytes, nil) == 1)
    precondition(EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1)
    return Digest(bytes: bytes)
  }
}
