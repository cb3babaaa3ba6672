import Foundation
import Synchronization

/// An exclusive lock of the kernel on a file. It shows that a process uses the resource that the file stands for, and
/// is released when the process ends. The first line of the file is the process's number, for people.
///
/// The file reserves space for a note after that line, so that a note can be written when the disk is full.
package final class FileLock: Sendable {
  /// Why a lock was not taken.
  package enum Failure: Error, Sendable {
    /// Another process holds the lock; with its number if known.
    case held(by: String?)
    /// The file cannot be opened or written, with the reason.
    case unusable(path: String, reason: String)
  }

  private let descriptor: Mutex<Int32>

  /// Acquires the lock and creates the file if necessary. Throws ``Failure``.
  package init(_ path: String) throws(Failure) {
    func unusable(_ code: Int32) -> Failure {
      .unusable(path: path, reason: String(cString: strerror(code)))
    }
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw unusable(errno) }
    var lock = Self.lock
    guard fcntl(descriptor, Self.setLock, &lock) == 0 else {
      let (code, owner) = (errno, Self.words(descriptor).owner)
      close(descriptor)
      throw code == EAGAIN || code == EACCES ? .held(by: owner) : unusable(code)
    }
    guard Self.write(nil, to: descriptor), fsync(descriptor) == 0 else {
      let code = errno
      close(descriptor)
      throw unusable(code)
    }
    self.descriptor = Mutex(descriptor)
  }

  deinit { release() }

  /// Releases the lock.
  package func release() {
    descriptor.withLock { descriptor in
      if descriptor >= 0 { close(descriptor) }
      descriptor = -1
    }
  }

  /// Writes a line to the file, which remains after the lock is released; a note that is too long is truncated. Returns
  /// whether the line was written.
  @discardableResult package func leave(_ note: String) -> Bool {
    descriptor.withLock { $0 >= 0 && Self.write(note, to: $0) && fdatasync($0) == 0 }
  }

  /// Returns whether a process holds the lock; nil if this user has no permission to read the file.
  package static func isHeld(_ path: String) -> Bool? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else { return errno == ENOENT ? false : nil }
    defer { close(descriptor) }
    var lock = Self.lock
    guard fcntl(descriptor, getLock, &lock) == 0 else { return nil }
    return lock.l_type != Int16(F_UNLCK)
  }

  /// Returns the note of the last holder of the lock; nil if there is none.
  package static func note(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    return words(descriptor).note
  }

  /// An exclusive lock on the whole file.
  private static var lock: flock {
    var lock = flock()
    (lock.l_type, lock.l_whence) = (Int16(F_WRLCK), Int16(SEEK_SET))
    return lock
  }

  /// F_OFD_GETLK and F_OFD_SETLK (fcntl(2)): locks of the open file. Locks of the process would be lost when any
  /// descriptor of the file is closed.
  private static let (getLock, setLock): (Int32, Int32) = (36, 37)

  /// The size of the file in bytes: one block of most file systems, written in full at the start.
  private static let size = 4096

  private static func write(_ note: String?, to descriptor: Int32) -> Bool {
    let line = note.map { "\($0.split(whereSeparator: \.isNewline).joined(separator: " "))\n" } ?? ""
    let bytes = Array("\(getpid())\n\(line)".utf8).prefix(size)
    let text = Array(bytes) + [UInt8](repeating: UInt8(ascii: "\n"), count: size - bytes.count)
    return pwrite(descriptor, text, text.count, 0) == text.count
  }

  private static func words(_ descriptor: Int32) -> (owner: String?, note: String?) {
    var bytes = [UInt8](repeating: 0, count: size)
    let count = pread(descriptor, &bytes, bytes.count, 0)
    let lines = bytes.prefix(max(count, 0)).split(
      separator: UInt8(ascii: "\n"), maxSplits: 1, omittingEmptySubsequences: false)
    let digits = lines.first?.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ?? []
    let rest = lines.dropFirst().first?.split(separator: UInt8(ascii: "\n")).first
    return (
      digits.isEmpty ? nil : String(decoding: digits, as: UTF8.self),
      rest.map { String(decoding: $0, as: UTF8.self) }
    )
  }
}
