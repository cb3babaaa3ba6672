import Engine
import Foundation

/// Bytes that are no message, or a peer that cannot be reached. It ends the one connection.
package enum WireError: Error, Sendable, Hashable, CustomStringConvertible {
  /// A frame says that it is longer than the limit.
  case tooLong(bytes: Int, limit: Int)
  /// A frame is shorter than the shortest there can be, or its head does not fit into it.
  case malformed(String)
  /// The checksum does not match the bytes.
  case checksum
  case unknownVersion(UInt8)
  case unknownKind(UInt8)
  /// The head of a known kind cannot be read.
  case badHead(kind: String, reason: String)
  /// A number of a message cannot be meant: which, and what is wrong with it.
  case badNumber(String)
  /// The peer closed the connection, or it broke.
  case closed
  /// TLS failed, and why: a certificate that is rejected, or a peer that speaks something else.
  case tls(TLSFailure)
  /// The other end has shown no sign of life for so long.
  case silence(Duration)
  /// An address that cannot be used, and why.
  case address(String, reason: String)

  /// Whether the other end was silent.
  package var isSilence: Bool { if case .silence = self { true } else { false } }

  package var description: String {
    switch self {
    case .tooLong(let bytes, let limit): "a frame of \(bytes) bytes; the limit is \(limit)"
    case .malformed(let reason): "a malformed frame: \(reason)"
    case .checksum: "a frame with a wrong checksum"
    case .unknownVersion(let version): "a frame of version \(version); this is version \(Frame.version)"
    case .unknownKind(let kind): "a frame of the unknown kind \(kind)"
    case .badHead(let kind, let reason): "a \(kind) with an unreadable head: \(reason)"
    case .badNumber(let reason): reason
    case .closed: "the connection is closed"
    case .tls(let failure): failure.description
    case .silence(let time): "silent for \(String(format: "%g", time.seconds)) s"
    case .address(let address, let reason): "\(address): \(reason)"
    }
  }
}
