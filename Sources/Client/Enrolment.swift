import Certificates
import Federation
import Wire

/// The enrolment of a new device. The device creates a private key, which never leaves it, and has the server sign
/// its certificate with a one-time code. It trusts only the server that issued the code.
package struct Enrolment: Sendable {
  private let server: Endpoint
  private let code: EnrolmentCode

  package init(_ code: EnrolmentCode, at server: Endpoint) { (self.code, self.server) = (code, server) }

  /// Fetches the certificate into a folder and replaces any that is there. Throws ``ClientError``. Errors that this
  /// device can detect are thrown before the code is used.
  package func run(into folder: ClientCertificate) async throws(ClientError) -> Certificate {
    do {
      let key = try PrivateKey()
      try folder.draft(key)
      defer { folder.dropDraft() }
      let connection = try await Connection.connect(
        to: server, limit: WireLimits.frameBeforeHello, tls: try TLSContext(pin: code.pin, host: server.host))
      let silence = Task {
        await connection.endWhenSilent(for: .seconds(3 * WireLimits.heartbeatSeconds))
      }
      defer { silence.cancel() }
      let answer: Result<(Certificate, authority: Certificate), any Error>
      do { answer = .success(try await ask(for: key, on: connection)) } catch { answer = .failure(error) }
      // Waits for the close: the process may exit next and unload OpenSSL while it is in use.
      await connection.close()
      let (certificate, authority) = try answer.get()
      // Checks that the certificate belongs to this key and is signed by the authority.
      let identity = try Identity(certificate: certificate, key: key, authority: authority)
      try folder.keep(key: key, certificate: identity.certificate, authority: authority)
      return certificate
    } catch let error as ClientError {
      throw error
    } catch let error as WireError {
      throw ClientError(error)
    } catch {
      throw .state("\(error)")
    }
  }

  /// Returns the certificate for a key, and the certificate of the authority that signed it.
  private func ask(
    for key: PrivateKey, on connection: Connection
  ) async throws -> (Certificate, authority: Certificate) {
    let request = try SigningRequest(name: code.name, key: key)
    try await connection.send(
      .enrol(EnrolmentRequest(name: code.name, secret: code.secret, request: request.pem)))
    let certificate = try Self.certificate(try await connection.receive())
    guard let authority = await connection.pinned else {
      throw ClientError.server("no authority certificate")
    }
    return (certificate, authority)
  }

  private static func certificate(_ answer: Message) throws -> Certificate {
    switch answer {
    case .certificate(let issued): return try Certificate(pem: issued.certificate)
    case .goodbye(let goodbye): throw ClientError.turnedAway(goodbye.detail)
    default: throw ClientError.server("\(answer.name) in answer to an enrolment")
    }
  }
}
