import Foundation
import TestSupport
import Testing
import Wire

/// The daemons under a service manager, which is a socket here.
@Suite(.unhurried) struct ServiceManagerTests {
  /// A datagram socket at a path, and its received messages.
  private final class Manager: Sendable {
    let path: String
    let log: LineLog

    init(_ folder: URL) throws {
      let path = folder.path("notify")
      self.path = path
      let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
      var place = sockaddr_un()
      place.sun_family = sa_family_t(AF_UNIX)
      withUnsafeMutableBytes(of: &place.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
      let status = withUnsafePointer(to: &place) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
      }
      guard status == 0 else { throw Command.Failure(call: "bind", number: errno) }
      // Datagrams have no line ends; a pipe in between adds them.
      var ends: [Int32] = [0, 0]
      guard pipe(&ends) == 0 else { throw Command.Failure(call: "pipe", number: errno) }
      for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
      log = LineLog(ends[0])
      let writing = ends[1]
      Thread {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
          let count = recv(descriptor, &buffer, buffer.count, 0)
          guard count > 0 else { continue }
          let line = buffer[..<count] + [UInt8(ascii: "\n")]
          _ = Array(line).withUnsafeBytes { write(writing, $0.baseAddress, $0.count) }
        }
      }.start()
    }
  }

  @Test func aServerSaysThatItIsReadyThatItLivesAndThatItStops() async throws {
    try await withTemporaryFolder { folder in
      let manager = try Manager(folder)
      let server = try Command(
        "fedserver",
        [
          "run", try folder.plan(), "--listen", "127.0.0.1:0", "--database", folder.path("strata.sqlite"),
        ], environment: ["NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "100000"])
      _ = try await manager.log.line(containing: "READY=1")
      _ = try await manager.log.line(
        containing: "STATUS=stage 1 round 1 waits for clients: 0 of 2 are connected")
      _ = try await manager.log.line(containing: "WATCHDOG=1")
      server.terminate()
      _ = try await manager.log.line(containing: "STOPPING=1")
      #expect(try await server.outcome().code == 0)
    }
  }

  /// An unreachable server does not delay the start of a device.
  @Test func aClientIsReadyWithoutItsServer() async throws {
    try await withTemporaryFolder { folder in
      let manager = try Manager(folder)
      let client = try Command(
        "fedclient",
        [
          "run", "--server", "\(try await Endpoint.closed())", "--name", "device", "--data", "shapes:16",
          "--state",
          folder.path("state"), "--patience", Unhurried.patience,
        ], environment: ["NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "100000"])
      _ = try await manager.log.line(containing: "READY=1")
      _ = try await manager.log.line(containing: "WATCHDOG=1")
      client.terminate()
      _ = try await manager.log.line(containing: "STOPPING=1")
      #expect(try await client.outcome().code == 0)
    }
  }
}
