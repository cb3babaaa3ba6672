import ArgumentParser
import Certificates
import Commands
import Foundation

struct EnrolCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "enroll",
    abstract: "Prints a one-time code with which a new device fetches its certificate.",
    discussion: """
      The code is valid for \(CertificateFolder.enrolmentHours) hours and for one use; keep it secret, like a \
      password. The server must run when the device uses it. For example, on the server and then on the device:

        fedserver enroll device-1 --tls tls
        fedclient enroll --server coordinator.example:7400 CODE
      """)

  @OptionGroup var options: CertificateOptions

  @Argument(help: "The client's name.")
  var name: String

  func validate() throws { try checkName(name) }

  func run() async throws {
    try await reporting { try StandardOutput.write("\(options.folder.enrol(name))") }
  }
}
