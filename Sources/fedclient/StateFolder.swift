import Certificates
import Client
import Commands
import Datasets
import Foundation

/// Where a client keeps what it must not forget.
enum StateFolder {
  static func url(_ given: String?, name: String) -> URL {
    if let given { return URL(fileURLWithPath: given, isDirectory: true) }
    // The shell's ~, where there is one: Foundation would ask the table of users.
    let named = ProcessInfo.processInfo.environment["HOME"].flatMap { $0.isEmpty ? nil : $0 }
    let home =
      named.map { URL(fileURLWithPath: $0, isDirectory: true) }
      ?? FileManager.default.homeDirectoryForCurrentUser
    return home.appendingPathComponent(".local/state/strata/\(name)", isDirectory: true)
  }

  /// Makes the folder where there is none, and takes it for this process alone: two clients would give each other's
  /// layers and updates for their own. Throws ``CommandFailure``, also where nothing can be written there.
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
          "\(folder.path): another client is at work in this folder\(owner.map { ", process \($0)" } ?? ""); give each its own --state"
        )
      case .unusable(let path, let reason): throw CommandFailure(.store, "\(path): \(reason)")
      }
    }
    // The lock's own file may be older than what forbids others.
    for path in [folder.path, "\(folder.path)/layers"]
    where access(path, W_OK | X_OK) != 0 && errno != ENOENT {
      throw CommandFailure(.store, "\(path): \(String(cString: strerror(errno)))")
    }
    return lock
  }
}

/// Who this client is among those of its federation, and where its own things are.
struct ClientPlace: Sendable {
  let name: String
  /// Its part of the images; nil where all are its own.
  let share: LocalShare?
  let state: URL
  /// Nil where it talks without TLS.
  let certificate: ClientCertificate?

  /// What clients share a command line for is in folders of folders: each has its own in them, under its name. Throws
  /// `CertificateError` where it cannot be told whether there is a certificate.
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
