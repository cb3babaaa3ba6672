import ArgumentParser
import Certificates
import Foundation

struct EnrolCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "enroll",
    abstract: "Prints a one-time code with which a new box fetches its certificate.",
    discussion: """
      On the box: fedclient enroll --server HOST:PORT CODE. The code is valid for \(CertificateFolder.enrolmentHours) \
      hours, for one use. Give it to the box as you would a password.
      """)

  @OptionGroup var options: CertificateOptions

  @Argument(help: "The client's name.")
  var name: String

  func validate() throws { try checkName(name) }

  func run() async throws {
    try await reporting { print(try options.folder.enrol(name)) }
  }
}
