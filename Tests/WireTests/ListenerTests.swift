import Federation
import Foundation
import TestSupport
import Testing
import Wire

@Suite(.unhurried) struct ListenerTests {
  private static let hasIPv6 =
    (try? String(contentsOfFile: "/proc/net/if_inet6", encoding: .utf8))?.contains(" lo") ?? false

  private func greet(_ listener: Listener) async throws {
    async let accepted = listener.accept(limit: 1000)
    let client = try await Connection.connect(to: listener.endpoint, limit: 1000)
    let server = try await accepted
    try await client.send(.hello(Hello(name: "a", software: "test")))
    #expect(try await server.receive() == .hello(Hello(name: "a", software: "test")))
    #expect(!server.peer.isEmpty && server.peer != client.peer)
    await client.close()
    await server.close()
  }

  @Test(arguments: ["127.0.0.1", "localhost"]) func listensOnAPortOfTheSystemsChoice(host: String)
    async throws
  {
    let listener = try await Listener(Endpoint(host: host, port: 0))
    #expect(listener.endpoint.host == host)
    #expect(listener.endpoint.port != 0)
    // Several in turn: the listener keeps listening.
    for _ in 0..<3 { try await greet(listener) }
    listener.shutDown()
    listener.close()
  }

  @Test(.enabled(if: hasIPv6)) func listensOnIPv6() async throws {
    let listener = try await Listener(try Endpoint(parsing: "[::1]:0"))
    try await greet(listener)
    listener.shutDown()
    listener.close()
  }

  /// Otherwise all socket operations would wait for ever without an error.
  @Test func aPollLoopThatFailsEndsTheProcess() async {
    await #expect(processExitsWith: .exitCode(Network.exitCode)) {
      func queues() -> [Int32] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        return names.filter {
          (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)"))?.contains(
            "eventpoll")
            ?? false
        }.compactMap { Int32($0) }
      }
      let before = queues()
      let listener = try await Listener(Endpoint(host: "127.0.0.1", port: 0))
      let none = open("/dev/null", O_RDONLY)
      for queue in queues() where !before.contains(queue) { dup2(none, queue) }
      _ = try? await listener.accept(limit: 1000)
      // The failure ends the process from another thread.
      while true { try await Task.sleep(for: .seconds(1)) }
    }
  }

  @Test func aPortInUseIsSaidToBe() async throws {
    // A separate address: on 127.0.0.1 another test could be assigned the port meanwhile.
    let host = Endpoint.ownHost()
    let listener = try await Listener(Endpoint(host: host, port: 0))
    let error = await #expect(throws: WireError.self) { try await Listener(listener.endpoint) }
    guard case .address(let address, let reason)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(address == "\(listener.endpoint)")
    #expect(reason.contains("in use"))
    listener.shutDown()
    listener.close()
    // After closing, the port can be used again at once.
    let again = try await Listener(listener.endpoint)
    try await greet(again)
    again.shutDown()
    again.close()
  }

  @Test func anAddressOfAnotherMachineIsRejected() async throws {
    // TEST-NET-1 (RFC 5737) is not assigned.
    let error = await #expect(throws: WireError.self) {
      try await Listener(Endpoint(host: "192.0.2.1", port: 0))
    }
    guard case .address("192.0.2.1:0", _)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  /// All addresses use one port, and each is served.
  @Test func aHostWithSeveralAddressesIsServedAtAll() async throws {
    let hosts = ["127.1.7.\(Int.random(in: 2...254))", "127.2.7.\(Int.random(in: 2...254))"]
    let all = (hosts + (Self.hasIPv6 ? ["::1"] : [])).map { Endpoint(host: $0, port: 0) }
    let listener = try await Listener(Endpoint(host: "many.example", port: 0), at: all)
    #expect(listener.endpoint.host == "many.example" && listener.endpoint.port != 0)
    #expect(listener.addresses == all.map { Endpoint(host: $0.host, port: listener.endpoint.port) })
    for address in listener.addresses + listener.addresses {
      async let accepted = listener.acceptBytes()
      let client = try await ByteConnection.connect(to: address)
      let server = try await accepted
      try await client.write(Data([1]))
      #expect(try await server.read(atMost: 1).bytes == Data([1]))
      client.close()
      server.close()
    }
    let waiting = Task { _ = try await listener.acceptBytes() }
    listener.shutDown()
    await #expect(throws: WireError.closed) { try await waiting.value }
    listener.close()
  }

  /// A name may have an address that this machine lacks, like `localhost` without IPv6.
  @Test func anAddressThatIsNotHereIsLeftOutAndNamed() async throws {
    // TEST-NET-1 (RFC 5737) is not assigned.
    let all = ["192.0.2.1", "127.3.7.1"].map { Endpoint(host: $0, port: 0) }
    let listener = try await Listener(Endpoint(host: "two.example", port: 0), at: all)
    #expect(listener.addresses.map(\.host) == ["127.3.7.1"] && listener.elsewhere == [all[0]])
    listener.shutDown()
    listener.close()
  }

  @Test func aPortInUseAtOneOfTheAddressesIsSaidToBe() async throws {
    let host = "127.4.\(Int.random(in: 1...254)).\(Int.random(in: 2...254))"
    let taken = try await Listener(Endpoint(host: host, port: 0))
    let port = taken.endpoint.port
    let all = ["127.5.7.\(Int.random(in: 2...254))", host].map { Endpoint(host: $0, port: port) }
    let error = await #expect(throws: WireError.self) {
      try await Listener(Endpoint(host: "two.example", port: port), at: all)
    }
    #expect(error == .address("two.example:\(port)", reason: "the port is in use"))
    taken.shutDown()
    taken.close()
  }

  @Test func shutDownWakesAWaitingAccept() async throws {
    let listener = try await Listener(Endpoint(host: "127.0.0.1", port: 0))
    let waiting = Task { _ = try await listener.accept(limit: 1000) }
    listener.shutDown()
    await #expect(throws: WireError.closed) { try await waiting.value }
    listener.close()
  }

  /// In any state of the poll loop when they begin to wait and are shut down.
  @Test func manyThatAreShutDownAtOnceAllNotice() async throws {
    for _ in 0..<100 {
      var listeners: [Listener] = []
      for _ in 0..<10 { listeners.append(try await Listener(Endpoint(host: "127.0.0.1", port: 0))) }
      await withDiscardingTaskGroup { group in
        for listener in listeners {
          group.addTask { _ = try? await listener.accept(limit: 1000) }
          await Task.yield()
        }
        for listener in listeners { listener.shutDown() }
      }
      for listener in listeners { listener.close() }
    }
  }
}
