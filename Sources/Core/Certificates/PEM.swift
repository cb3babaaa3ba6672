import CSSL
import Foundation

/// Texts in PEM, in and out of OpenSSL.
enum PEM {
  /// What `write` writes.
  static func text(_ write: (OpaquePointer) -> Int32) -> String {
    guard let bio = BIO_new(BIO_s_mem()) else { preconditionFailure("no memory for a text") }
    defer { BIO_free(bio) }
    precondition(write(bio) == 1, "a key or certificate in memory can always be written")
    var bytes = [UInt8](repeating: 0, count: BIO_ctrl_pending(bio))
    let count = BIO_read(bio, &bytes, Int32(bytes.count))
    return String(decoding: bytes.prefix(Int(max(count, 0))), as: UTF8.self)
  }

  /// What `read` makes of a text; nil where it is no such PEM.
  static func read(_ text: String, _ read: (OpaquePointer) -> OpaquePointer?) -> OpaquePointer? {
    let bytes = Array(text.utf8)
    guard let bio = BIO_new_mem_buf(bytes, Int32(bytes.count)) else { return nil }
    defer { BIO_free(bio) }
    // The bytes must outlive the reading, which ends here.
    return withExtendedLifetime(bytes) { read(bio) }
  }
}

/// What a file in PEM may hold.
protocol PEMContent {
  /// Whether nobody but its owner may read it.
  static var isSecret: Bool { get }

  init(pem: String) throws(CertificateError)
}

extension Certificate: PEMContent {
  static var isSecret: Bool { false }
}

extension PrivateKey: PEMContent {
  static var isSecret: Bool { true }
}
