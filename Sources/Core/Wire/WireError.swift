import Engine
import Foundation

/// Invalid bytes, or a peer that cannot be reached. The error ends one connection.
package enum WireError: Error, Sendable, Hashable, CustomStringConvertible {
  /// A frame declares a length over the limit.
  case tooLong(bytes: Int, limit: Int)
  /// A frame is shorter than the minimum, or its head exceeds it.
  case malformed(String)
  /// The checksum does not match the bytes.
  case checksum
  case unknownVersion(UInt8)
  case unknownKind(UInt8)
  /// The head of a message of a known kind is invalid.
  case badHead(kind: String, reason: String)
  /// A number in a message is out of bounds; with the reason.
  case badNumber(String)
  /// The peer closed the connection, or it broke.
  case closed
  /// TLS failed, with the reason: a rejected certificate, or a peer that uses another protocol.
  case tls(TLSFailure)
  /// The other end has shown no sign of life for this time.
  case silence(Duration)
  /// An address cannot be used, with the reason.
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
