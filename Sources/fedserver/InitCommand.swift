import ArgumentParser
import Certificates
import Commands
import Datasets
import Federation
import Foundation
import Wire

struct InitCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init",
    abstract: "Writes the files of a first deployment into a new folder.",
    usage: "fedserver init [<options>] <dir>",
    discussion: """
      Writes a commented plan, certificates, a one-time code for each device, units and settings for systemd, and a \
      README with the next commands, which is also printed. DIR must be new or empty. For example:

        fedserver init first --host coordinator.example --client device-1 --client device-2
      """)

  @Argument(help: ArgumentHelp("The folder to write.", valueName: "dir"), completion: .directory)
  var folder: String

  @Option(
    help: ArgumentHelp(
      "A name or address of the server; the clients' settings have the first. May be given more than once. (default: this machine's name)",
      valueName: "name"))
  var host: [String] = []

  @Option(
    help: ArgumentHelp(
      "A device to make a code and settings for. May be given more than once.", valueName: "name"))
  var client: [String] = []

  @Option(
    help: ArgumentHelp(
      "The data SPEC in the clients' settings, KIND:ARGUMENT (docs/data.md).", valueName: "spec"))
  var data: String = "folder:/srv/images"

  func validate() throws {
    try checkHosts(host)
    for name in client { try checkName(name) }
    guard Set(client).count == client.count else { throw ValidationError("a --client is given twice") }
    // The value goes into a file that systemd reads, and into command lines.
    guard !data.contains(where: { $0.isNewline || "\"'\\$`".contains($0) }) else {
      throw ValidationError("--data contains a quote, a backslash, a $ or a line break")
    }
    do { _ = try DataSpec(parsing: data) } catch { throw ValidationError("--data: \(error.description)") }
  }

  func run() async throws {
    try await reporting {
      // Keys and codes are private.
      umask(0o077)
      let hosts = host.isEmpty ? [ProcessInfo.processInfo.hostName] : host
      let first = FirstDeployment(hosts: hosts, clients: client, data: data)
      try StagedFolder(folder).fill { try first.write(into: $0) }
      try StandardOutput.write(
        "\(folder) is written. The next steps, also in its README.md:\n\n\(first.steps)", terminator: "")
    }
  }
}

/// The files of a first deployment: the templates in `deploy`, with the known values filled in.
struct FirstDeployment {
  /// The names and addresses of the server; clients connect to the first.
  let hosts: [String]
  let clients: [String]
  /// The data SPEC of the images on a device.
  let data: String

  private static let port: UInt16 = 7400
  /// The state folder of the services, as in their unit files.
  private static let state = "/var/lib/strata-server"

  private var address: String { "\(Endpoint(host: hosts[0], port: Self.port))" }

  /// The next steps, with literal commands.
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

  /// Allows a quarter of the devices to be missing, and at least one of several, because a device may fail while no one
  /// can repair it.
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

  /// Returns a text in which each line that starts with a key, commented out or not, is replaced by the key and its
  /// value. Every key must have a line, since the texts are the package's.
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

/// A folder that appears with all its files or not at all.
///
/// A new folder is filled under a temporary name and renamed. An existing empty folder, possibly a working directory,
/// is kept and filled from a hidden folder inside it.
struct StagedFolder {
  private let folder: URL
  private let stage: URL
  private let isNew: Bool

  /// Throws ``CommandFailure`` if `path` is not a folder, or is a folder that is not empty.
  init(_ path: String) throws(CommandFailure) {
    folder = URL(fileURLWithPath: path, isDirectory: true).standardizedFileURL
    var isFolder: ObjCBool = false
    isNew = !FileManager.default.fileExists(atPath: folder.path, isDirectory: &isFolder)
    if !isNew {
      guard isFolder.boolValue else { throw CommandFailure(.store, "\(path): it exists and is not a folder") }
      let names: [String]
      do { names = try FileManager.default.contentsOfDirectory(atPath: folder.path) } catch {
        throw CommandFailure(.store, "\(path): \(error.systemWords)")
      }
      guard names.isEmpty else {
        throw CommandFailure(.store, "\(path) is not empty; name a new folder")
      }
    }
    let parent = isNew ? folder.deletingLastPathComponent() : folder
    stage = parent.appendingPathComponent(".\(folder.lastPathComponent).\(getpid())", isDirectory: true)
  }

  /// Calls `body` with an empty folder and then moves it into place. If `body` throws, removes all files.
  func fill(_ body: (URL) throws -> Void) throws {
    let parent = stage.deletingLastPathComponent().path
    guard FileManager.default.fileExists(atPath: parent) else {
      throw CommandFailure(.store, "\(folder.path): its parent folder \(parent) does not exist")
    }
    do {
      try FileManager.default.createDirectory(at: stage, withIntermediateDirectories: false)
      defer { try? FileManager.default.removeItem(at: stage) }
      try body(stage)
      if isNew { try FileManager.default.moveItem(at: stage, to: folder) } else { try moveEntries() }
    } catch let error as CocoaError {
      throw CommandFailure(.store, "\(folder.path): \(error.systemWords)")
    }
  }

  /// Moves the files into place. On failure moves them back, so that they are removed with the others.
  private func moveEntries() throws {
    var moved: [String] = []
    do {
      for name in try FileManager.default.contentsOfDirectory(atPath: stage.path) {
        try FileManager.default.moveItem(
          at: stage.appendingPathComponent(name), to: folder.appendingPathComponent(name))
        moved.append(name)
      }
    } catch {
      for name in moved {
        try? FileManager.default.moveItem(
          at: folder.appendingPathComponent(name), to: stage.appendingPathComponent(name))
      }
      throw error
    }
  }
}
