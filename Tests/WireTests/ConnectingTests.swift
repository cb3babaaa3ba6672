import Foundation
import TestSupport
import Testing
import Wire

/// Connecting to a host with one or several addresses.
@Suite(.unhurried) struct ConnectingTests {
  private static let hasIPv6 =
    (try? String(contentsOfFile: "/proc/net/if_inet6", encoding: .utf8))?.contains(" lo") ?? false

  /// Returns an address of this machine that no other test uses.
  private static func ownHost() -> String {
    "127.\(Int.random(in: 1...254)).\(Int.random(in: 1...254)).\(Int.random(in: 2...254))"
  }

  /// Returns a mark for the sockets of one test, to identify its open descriptors; the kernel doubles it.
  private static func mark() -> SocketLimits {
    SocketLimits(segment: 1460, unread: Int32.random(in: 5000...50_000))
  }

  /// Returns the number of open descriptors with the mark.
  private func open(_ mark: SocketLimits) throws -> Int {
    try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap { Int32($0) }
      .count { descriptor in
        var (value, length) = (Int32(0), socklen_t(MemoryLayout<Int32>.size))
        return getsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &value, &length) == 0 && value == 2 * mark.unread
      }
  }

  /// Returns an address with a port without a listener.
  private func closedPort(_ host: String = ownHost()) async throws -> Endpoint {
    let listener = try await Listener(Endpoint(host: host, port: 0))
    listener.shutDown()
    listener.close()
    return listener.endpoint
  }

  /// An address that neither answers nor refuses: its listener has a full queue.
  private final class DeadEnd {
    let endpoint: Endpoint
    private var sockets: [Int32] = []

    init() throws {
      let host = ConnectingTests.ownHost()
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_addr.s_addr = inet_addr(host)
      var length = socklen_t(MemoryLayout<sockaddr_in>.size)
      let listening = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      sockets.append(listening)
      let port = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic -> UInt16? in
          guard Glibc.bind(listening, generic, length) == 0, listen(listening, 0) == 0,
            getsockname(listening, generic, &length) == 0
          else { return nil }
          return 0
        }
      }
      guard port != nil else { throw WireError.address(host, reason: "not to be had") }
      endpoint = Endpoint(host: host, port: UInt16(bigEndian: address.sin_port))
      // Slightly more than fit into its queue; the rest would wait for ever.
      for _ in 0..<4 {
        let filler = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_NONBLOCK, 0)
        sockets.append(filler)
        withUnsafePointer(to: &address) { pointer in
          pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = Glibc.connect(filler, $0, length) }
        }
      }
    }

    deinit { for socket in sockets { Glibc.close(socket) } }
  }

  // MARK: - Descriptors

  @Test func aFailedConnectLeavesNoDescriptor() async throws {
    let (mark, nowhere) = (Self.mark(), try await closedPort())
    for _ in 0..<200 {
      await #expect(throws: WireError.self) {
        _ = try await ByteConnection.connect(to: nowhere, limits: mark)
      }
    }
    #expect(try open(mark) == 0)
  }

  @Test func aCancelledConnectLeavesNoDescriptor() async throws {
    let (mark, deadEnd) = (Self.mark(), try DeadEnd())
    let endpoint = deadEnd.endpoint
    let connecting = (0..<20).map { _ in Task { try await ByteConnection.connect(to: endpoint, limits: mark) }
    }
    for _ in 0..<100 { await Task.yield() }
    for task in connecting { task.cancel() }
    for task in connecting { await #expect(throws: WireError.self) { _ = try await task.value } }
    #expect(try open(mark) == 0)
    withExtendedLifetime(deadEnd) {}
  }

  // MARK: - Several addresses

  /// All addresses have the same port, like those of one name.
  @Test func anAddressThatDoesNotAnswerIsNotWaitedFor() async throws {
    let (mark, deadEnd) = (Self.mark(), try DeadEnd())
    let listener = try await Listener(Endpoint(host: Self.ownHost(), port: 0))
    async let accepted = listener.acceptBytes()
    let host = Endpoint(host: "two.example", port: listener.endpoint.port)
    let client = try await ByteConnection.connect(
      to: host, at: [deadEnd.endpoint, listener.endpoint], limits: mark)
    let server = try await accepted
    try await client.write(Data([7]))
    #expect(try await server.read(atMost: 1).bytes == Data([7]))
    #expect(try open(mark) == 1, "the attempt that lost is given up")
    client.close()
    server.close()
    listener.shutDown()
    listener.close()
    withExtendedLifetime(deadEnd) {}
  }

  /// The two families alternate, starting with that of the first address.
  @Test(.enabled(if: hasIPv6)) func theErrorNamesEachAddressInTheOrderInWhichTheyWereTried() async throws {
    let first = try await closedPort()
    let others = [Self.ownHost(), Self.ownHost(), "::1", Self.ownHost()].map {
      Endpoint(host: $0, port: first.port)
    }
    let host = Endpoint(host: "many.example", port: first.port)
    let error = await #expect(throws: WireError.self) {
      try await Connection.connect(to: host, at: [first] + others, limit: 100)
    }
    guard case .address(let address, let reason)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(address == "\(host)")
    let order = [first.host, "::1", others[0].host, others[1].host, others[3].host]
    #expect(reason == order.map { "\($0): nothing listens there" }.joined(separator: "; "))
  }

  @Test func anAddressThatIsGivenNeedsNoOtherName() async throws {
    let nowhere = try await closedPort()
    let error = await #expect(throws: WireError.self) {
      try await Connection.connect(to: nowhere, limit: 100)
    }
    #expect(error == .address("\(nowhere)", reason: "nothing listens there"))
  }

  @Test func aNameThatNobodyHasIsSaidToBe() async throws {
    // By RFC 6761 this name never exists.
    let host = Endpoint(host: "nobody.invalid", port: 1)
    let error = await #expect(throws: WireError.self) { try await Connection.connect(to: host, limit: 100) }
    guard case .address("nobody.invalid:1", let reason)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(!reason.isEmpty && !reason.contains("\n"))
  }
}
