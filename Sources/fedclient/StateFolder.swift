import Certificates
import Client
import Commands
import Datasets
import Foundation

/// The folder of a client's persistent files.
enum StateFolder {
  static func url(_ given: String?, name: String) -> URL {
    if let given { return URL(fileURLWithPath: given, isDirectory: true) }
    // $HOME as for ~ in the shell, if it is set; Foundation would read the user database.
    let named = ProcessInfo.processInfo.environment["HOME"].flatMap { $0.isEmpty ? nil : $0 }
    let home =
      named.map { URL(fileURLWithPath: $0, isDirectory: true) }
      ?? FileManager.default.homeDirectoryForCurrentUser
    return home.appendingPathComponent(".local/state/strata/\(name)", isDirectory: true)
  }

  /// Creates the folder if necessary and locks it for this process: two clients in one folder would mix up their layers
  /// and updates. Throws ``CommandFailure``, also if the folder is not writable.
  static func take(_ folder: URL) throws(CommandFailure) -> FileLock {
    do { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) } catch {
      throw CommandFailure(.store, "\(folder.path): \(error.systemWords)")
    }
    let lock: FileLock
    do { lock = try FileLock("\(folder.path)/lock") } catch {
      switch error {
      case .held(let owner):
        throw CommandFailure(
          .store,
          "\(folder.path): another client uses this folder\(owner.map { ", process \($0)" } ?? ""); give each client its own --state"
        )
      case .unusable(let path, let reason): throw CommandFailure(.store, "\(path): \(reason)")
      }
    }
    // The lock file may exist although the folder is not writable.
    for path in [folder.path, "\(folder.path)/layers"]
    where access(path, W_OK | X_OK) != 0 && errno != ENOENT {
      throw CommandFailure(.store, "\(path): \(String(cString: strerror(errno)))")
    }
    return lock
  }
}

/// The name, share and folders of this client.
struct ClientPlace: Sendable {
  let name: String
  /// The client's share of the images; nil for all images.
  let share: LocalShare?
  let state: URL
  /// Nil without TLS.
  let certificate: ClientCertificate?

  /// If the clients of one command line have shares, each uses a subfolder with its name. Throws `CertificateError` if
  /// it cannot be determined whether there is a certificate.
  init(
    name: String?, share: LocalShare?, state: String?, tls: String?, usesCertificate: Bool
  ) throws(CertificateError) {
    let stem = name ?? LocalShare.stem
    let own = share?.share.name(stem) ?? stem
    func folder(_ given: String) -> String { share == nil ? given : "\(given)/\(own)" }
    (self.name, self.share) = (own, share)
    self.state = StateFolder.url(state.map(folder), name: own)
    if let tls {
      certificate = ClientCertificate(URL(fileURLWithPath: folder(tls), isDirectory: true))
    } else {
      let found = ClientCertificate(self.state.appendingPathComponent("tls", isDirectory: true))
      certificate = usesCertificate ? (try found.exists ? found : nil) : nil
    }
  }
}
