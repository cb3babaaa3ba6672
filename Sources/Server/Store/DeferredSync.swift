import Foundation
import Synchronization

/// Brings to the disk what no answer waits for: a second after it was written, with all that was written meanwhile.
/// What is gone again by then, as the updates of a short round are, the disk is spared.
final class DeferredSync: Sendable {
  private let log: URL
  private let failure = Mutex<StoreError?>(nil)
  private let waiting = Mutex((files: [URL](), isBegun: false))
  private let queue = DispatchQueue(label: "deferred sync")

  /// How long a power cut may take back what was written, plus the time that the disk takes.
  private static let delay = DispatchTimeInterval.seconds(1)

  /// - Parameter log: the path of the database's log, which is written through.
  init(_ log: String) { self.log = URL(fileURLWithPath: log) }

  /// Throws ``StoreError`` where something could not be brought to the disk: the kernel does not keep what it could not
  /// write, and a second try would say that all is well.
  func check() throws(StoreError) { if let error = failure.withLock({ $0 }) { throw error } }

  /// Something was written: to the database, and to a file where there is one.
  func note(_ file: URL? = nil) {
    let begins = waiting.withLock { waiting in
      if let file { waiting.files.append(file) }
      defer { waiting.isBegun = true }
      return !waiting.isBegun
    }
    if begins { queue.asyncAfter(deadline: .now() + Self.delay) { [self] in synchronise() } }
  }

  private func synchronise() {
    let files = waiting.withLock { waiting in
      defer { waiting = ([], false) }
      return waiting.files
    }
    do {
      for file in files { try UpdateFile.synchronise(file) }
      // Last: a row whose bytes are missing costs more than bytes whose row is.
      try UpdateFile(log).synchronise()
    } catch {
      failure.withLock { $0 = error }
    }
  }
}
