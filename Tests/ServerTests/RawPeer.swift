import Engine
import Foundation
import TestSupport
import Wire

/// A peer that does not follow the protocol.
enum RawPeer {
  struct Failure: Error {
    let call: String
    let number: Int32
  }

  /// Connects to 127.0.0.1, sends the bytes, and returns the answer until the server closes the connection. Blocks, on
  /// a separate thread.
  static func send(_ bytes: [UInt8], to endpoint: Endpoint) async throws -> [UInt8] {
    try await TrainingThread.run("raw peer") {
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      guard descriptor >= 0 else { throw Failure(call: "socket", number: errno) }
      defer { close(descriptor) }
      // A server that keeps the connection open is an error, but must not hang the tests.
      var patience = timeval(tv_sec: Int(Unhurried.limit.components.seconds), tv_usec: 0)
      setsockopt(
        descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = endpoint.port.bigEndian
      address.sin_addr.s_addr = inet_addr("127.0.0.1")
      let status = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
      guard status == 0 else { throw Failure(call: "connect", number: errno) }
      // Fails as expected if the server closes the connection early.
      _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
      var answer: [UInt8] = []
      var buffer = [UInt8](repeating: 0, count: 4096)
      while true {
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count == 0 || (count < 0 && errno == ECONNRESET) { return answer }
        guard count > 0 else { throw Failure(call: "recv", number: errno) }
        answer += buffer[..<count]
      }
    }
  }
}
