import FlyingSocks
import Foundation

/// The process's one poll loop, and words for what sockets report.
enum Network {
  static var pool: some AsyncSocketPool {
    get async throws { try await .client }
  }

  static func shutDown(_ descriptor: Int32) -> Int32 { shutdown(descriptor, Int32(SHUT_RDWR)) }

  /// A socket's error in a few words.
  static func reason(_ error: any Error) -> String {
    switch error as? SocketError {
    case .failed(_, let number, let message):
      number == EADDRINUSE ? "the port is in use" : message
    case .disconnected: "the connection was closed"
    case .timeout: "no answer"
    case .unsupportedAddress: "an address of a kind that is not supported"
    case .blocked, nil: "\(error)"
    }
  }
}
