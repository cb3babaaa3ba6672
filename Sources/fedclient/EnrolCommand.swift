import ArgumentParser
import Certificates
import Client
import Commands
import Foundation
import Wire

struct EnrolCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "enroll",
    abstract: "Fetches this device's certificate with a one-time code.",
    discussion: """
      'fedserver enroll NAME' prints a code; 'fedserver init' writes one to the file 'code'. The key is made on the \
      device and never leaves it. Key and certificate are stored in the folder 'tls' of the client's state folder, \
      where 'fedclient run' finds them. To renew a certificate, enroll again with another code. For example:

        fedclient enroll --server coordinator.example:7400 CODE
      """)

  @Option(help: ArgumentHelp("The server, HOST:PORT.", valueName: "address"))
  var server: String

  @Option(
    help: ArgumentHelp("The client's state folder. (default: ~/.local/state/strata/NAME)", valueName: "dir"),
    completion: .directory)
  var state: String?

  @Argument(help: "The code: NAME, a dot, and seven groups of six characters.")
  var code: String

  private var endpoint: Endpoint {
    get throws { try address(server, of: "--server", example: "coordinator:7400") }
  }

  func validate() throws { _ = try endpoint }

  func run() async throws {
    try await reporting("fedclient") {
      guard let code = EnrolmentCode(code) else {
        throw CommandFailure(.usage, "the code is NAME, a dot, and 42 letters and digits in groups of six")
      }
      let folder = ClientCertificate(
        StateFolder.url(state, name: code.name).appendingPathComponent("tls", isDirectory: true))
      do {
        let enrolment = Enrolment(code, at: try endpoint)
        let certificate = try await enrolment.run(into: folder)
        let end = certificate.expires.day
        try StandardOutput.write(
          "\(code.name) is enrolled; its certificate is in \(folder.path) and is valid until \(end)")
      } catch {
        throw RunCommand.failure(error)
      }
    }
  }
}
