import Wire

extension Endpoint {
  /// Returns a loopback address that no other test uses. On 127.0.0.1, another test could be assigned the same port
  /// meanwhile.
  package static func ownHost() -> String {
    "127.\(Int.random(in: 1...254)).\(Int.random(in: 1...254)).\(Int.random(in: 1...254))"
  }

  /// Returns an endpoint without a listener.
  package static func closed() async throws -> Endpoint {
    let listener = try await Listener(Endpoint(host: ownHost(), port: 0))
    listener.shutDown()
    listener.close()
    return listener.endpoint
  }
}
