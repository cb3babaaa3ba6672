import Commands
import Datasets
import Federation
import Foundation
import Synchronization

/// The folder of a run, with the files that a run leaves in it.
final class RunFolder: Sendable {
  private static let names =
    ["", "-wal", "-shm", "-spool"].map { "strata.sqlite" + $0 } + [
      "summary.json", "report.txt", "encoder.safetensors", "clients",
    ]

  let url: URL
  /// As it was typed.
  private let path: String
  private let overwrites: Bool
  /// Whether this run has it, and has made it.
  private let state = Mutex((isTaken: false, isNew: false))

  /// Throws ``CommandFailure`` where an earlier run's files are there: they are never mixed with this one's, nor lost
  /// unasked.
  init(_ path: String, overwrites: Bool) throws(CommandFailure) {
    (self.path, self.overwrites) = (path, overwrites)
    url = URL(fileURLWithPath: path, isDirectory: true)
    guard overwrites || files.allSatisfy({ !FileManager.default.fileExists(atPath: $0) }) else {
      throw CommandFailure(.store, "\(path) holds an earlier run; name another --out, or add --overwrite")
    }
  }

  private var files: [String] { Self.names.map { url.appendingPathComponent($0).path } }

  /// Makes it, without an earlier run's files. Throws ``CommandFailure``.
  func take() throws(CommandFailure) {
    let isNew = !FileManager.default.fileExists(atPath: url.path)
    if overwrites {
      for file in files where FileManager.default.fileExists(atPath: file) {
        do { try FileManager.default.removeItem(atPath: file) } catch {
          throw CommandFailure(.store, "\(file): \(error.systemWords)")
        }
      }
    }
    do { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) } catch {
      throw CommandFailure(.store, "\(path): \(error.systemWords)")
    }
    state.withLock { $0 = (true, isNew) }
  }

  /// Takes away what this run has left in it, and the folder where this run has made it.
  func giveUp() {
    let (isTaken, isNew) = state.withLock { $0 }
    guard isTaken else { return }
    for file in files { try? FileManager.default.removeItem(atPath: file) }
    // Only where nothing else is in it.
    if isNew { rmdir(url.path) }
  }
}
