import Certificates
import Commands
import Server

/// Runs a command's body; what is wrong with a certificate or a database becomes one line and an exit code.
func reporting(_ body: () throws -> Void) async throws {
  try await Commands.reporting("fedserver") {
    do { try body() } catch let error as CertificateError {
      throw CommandFailure(.store, error.description)
    } catch let error as StoreError {
      throw CommandFailure(.store, error.description)
    }
  }
}
