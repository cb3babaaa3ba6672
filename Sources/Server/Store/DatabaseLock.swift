import Foundation
import Synchronization

/// Says that a server is at work on a database: a second one beside it would take its rounds and updates for its own.
///
/// It is a lock of the kernel's on a file in the spool, which goes with the process, however that ends; what the file
/// holds is nobody's concern but a person's. A copy of a database has none.
package final class DatabaseLock: Sendable {
  private let descriptor: Mutex<Int32>

  /// Takes it. Throws ``StoreError`` where another server has it.
  package init(_ database: String) throws(StoreError) {
    let path = Self.file(database)
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw StoreError("\(path): \(String(cString: strerror(errno)))") }
    var lock = Self.lock
    guard fcntl(descriptor, Self.setLock, &lock) == 0 else {
      let (code, owner) = (errno, Self.text(descriptor))
      close(descriptor)
      guard code == EAGAIN || code == EACCES else {
        throw StoreError("\(path): \(String(cString: strerror(code)))")
      }
      throw StoreError("\(database): another server is at work on it\(owner.map { ", process \($0)" } ?? "")")
    }
    let text = Array("\(getpid())\n".utf8)
    ftruncate(descriptor, 0)
    _ = pwrite(descriptor, text, text.count, 0)
    self.descriptor = Mutex(descriptor)
  }

  deinit { release() }

  /// Gives it back; another server may have the database now.
  package func release() {
    descriptor.withLock { descriptor in
      if descriptor >= 0 { close(descriptor) }
      descriptor = -1
    }
  }

  /// Whether some server has a database's lock; nil where this user may not know.
  package static func isHeld(of database: String) -> Bool? {
    let descriptor = open(file(database), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else { return errno == ENOENT ? false : nil }
    defer { close(descriptor) }
    var lock = Self.lock
    guard fcntl(descriptor, getLock, &lock) == 0 else { return nil }
    return lock.l_type != Int16(F_UNLCK)
  }

  private static func file(_ database: String) -> String { database + "-spool/lock" }

  /// The whole file, for one alone.
  private static var lock: flock {
    var lock = flock()
    (lock.l_type, lock.l_whence) = (Int16(F_WRLCK), Int16(SEEK_SET))
    return lock
  }

  /// Locks of an open file and not of a process (fcntl(2), F_OFD_GETLK and F_OFD_SETLK): the other kind is lost when any
  /// descriptor of the file is closed.
  private static let (getLock, setLock): (Int32, Int32) = (36, 37)

  private static func text(_ descriptor: Int32) -> String? {
    var bytes = [UInt8](repeating: 0, count: 16)
    let count = pread(descriptor, &bytes, bytes.count, 0)
    let digits = bytes.prefix(max(count, 0)).prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    return digits.isEmpty ? nil : String(decoding: digits, as: UTF8.self)
  }
}
