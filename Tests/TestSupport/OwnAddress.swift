import Wire

extension Endpoint {
  /// A loopback address that no other test uses, and whose ports nobody else is given: of 127.0.0.1 another test could be
  /// given one meanwhile.
  package static func ownHost() -> String {
    "127.\(Int.random(in: 1...254)).\(Int.random(in: 1...254)).\(Int.random(in: 1...254))"
  }

  /// An endpoint that nobody listens on.
  package static func closed() async throws -> Endpoint {
    let listener = try await Listener(Endpoint(host: ownHost(), port: 0))
    listener.shutDown()
    listener.close()
    return listener.endpoint
  }
}
