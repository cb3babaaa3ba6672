import Certificates
import Federation
import Foundation
import Wire

/// The files of a first deployment. Their texts are those of `deploy`, with what is known filled in.
struct FirstDeployment {
  /// Names and addresses of the server; the first is what clients are told.
  let hosts: [String]
  let clients: [String]
  /// The images on a device, a data SPEC.
  let data: String

  private static let port: UInt16 = 7400
  /// Where the services keep their state, as their units say.
  private static let state = "/var/lib/strata-server"

  private var address: String { "\(Endpoint(host: hosts[0], port: Self.port))" }

  /// What to do next, with the literal commands.
  var steps: String {
    let name = clients.first ?? "NAME"
    let known = [
      "address": address, "data": data, "name": name,
      "example": name == "NAME" ? "with the device's name for NAME" : "here NAME is \(name)",
      "hours": "\(CertificateFolder.enrolmentHours)",
    ]
    return known.reduce(Self.text(PackageResources.first_steps_md)) {
      $0.replacing("@\($1.key)@", with: $1.value)
    }
  }

  /// Writes all files into an empty folder. Throws `CertificateError` and Foundation's errors.
  func write(into folder: URL) throws {
    func put(_ text: String, _ name: String) throws {
      try Data(text.utf8).write(to: folder.appendingPathComponent(name))
    }
    try put(plan, "plan.yaml")
    try put(steps, "README.md")
    try put(Self.text(PackageResources.fedserver_service), "fedserver.service")
    try put(Self.text(PackageResources.fedclient_service), "fedclient.service")
    try put(serverSettings, "fedserver.default")
    try put(clientSettings(nil), "fedclient.default")
    let tls = CertificateFolder(folder.appendingPathComponent("tls", isDirectory: true))
    _ = try tls.createAuthority("Strata", days: Certificate.Role.authority.days)
    _ = try tls.createServer(hosts[0], hosts: withLoopback(hosts), days: Certificate.Role.server.days)
    for name in clients {
      let device = folder.appendingPathComponent("clients/\(name)", isDirectory: true)
      try FileManager.default.createDirectory(at: device, withIntermediateDirectories: true)
      try put(clientSettings(name), "clients/\(name)/fedclient.default")
      try put("\(try tls.enrol(name))\n", "clients/\(name)/code")
    }
  }

  private var plan: String {
    let text = Self.text(PackageResources.first_yaml)
    guard !clients.isEmpty else { return text }
    return Self.filled(
      text, ["  cohort: ": "\(clients.count)", "  quorum: ": "\(Self.quorum(of: clients.count))"])
  }

  /// A round does without a quarter of the devices, and without one of them wherever there is another: a plan is begun
  /// by people who are not there when a device breaks.
  private static func quorum(of clients: Int) -> Int { max(1, clients - max(1, clients / 4)) }

  private var serverSettings: String {
    Self.filled(
      Self.text(PackageResources.fedserver_default),
      [
        "FEDSERVER_LISTEN=": "0.0.0.0:\(Self.port)",
        "FEDSERVER_OPTIONS=": "\"--tls \(Self.state)/tls --http 127.0.0.1:8080\"",
      ])
  }

  private func clientSettings(_ name: String?) -> String {
    var values = ["FEDCLIENT_SERVER=": address, "FEDCLIENT_DATA=": "\"\(data)\""]
    values["FEDCLIENT_NAME="] = name
    return Self.filled(Self.text(PackageResources.fedclient_default), values)
  }

  private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  /// A text in which the line that begins with each key, commented out or not, is the key and its value. Every key
  /// has to have its line: the texts are the package's own.
  private static func filled(_ text: String, _ values: [String: String]) -> String {
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    for (key, value) in values {
      guard let line = lines.firstIndex(where: { $0.hasPrefix(key) || $0.hasPrefix("#" + key) }) else {
        preconditionFailure("no line begins with '\(key)'")
      }
      lines[line] = key + value
    }
    return lines.joined(separator: "\n")
  }
}
