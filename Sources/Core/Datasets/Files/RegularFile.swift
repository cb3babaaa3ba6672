import Foundation

/// An open regular file; pipes and devices, which could block forever, are rejected.
final class RegularFile {
  /// The size of the file in bytes when it was opened.
  let size: Int
  private let descriptor: Int32
  private let path: String

  /// Opens a file. Throws ``DatasetError/unreadable(path:reason:)``.
  convenience init(_ path: String) throws(DatasetError) { try self.init(FilePath(path)) }

  /// Opens a file whose path need not be valid UTF-8. Throws ``DatasetError/unreadable(path:reason:)``.
  init(_ place: FilePath) throws(DatasetError) {
    let path = place.description
    self.path = path
    descriptor = place.withCString { open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
    guard descriptor >= 0 else { throw Self.failure(path) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      close(descriptor)
      throw Self.failure(path)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw .unreadable(
        path: path, reason: status.st_mode & S_IFMT == S_IFDIR ? "it is a directory" : "it is not a file")
    }
    size = Int(status.st_size)
  }

  deinit { close(descriptor) }

  private static func failure(_ path: String) -> DatasetError {
    .unreadable(path: path, reason: String(cString: strerror(errno)))
  }

  /// Reads up to `count` bytes from `offset`; fewer only at the end of the file.
  func read(
    _ count: Int, at offset: Int, into place: UnsafeMutableRawPointer
  ) throws(DatasetError) -> Int {
    var done = 0
    while done < count {
      let read = pread(descriptor, place + done, count - done, off_t(offset + done))
      if read < 0 && errno == EINTR { continue }
      guard read >= 0 else { throw Self.failure(path) }
      guard read > 0 else { break }
      done += read
    }
    return done
  }

  /// Returns the bytes `offset` ..< `offset + count`, or fewer at the end of the file.
  func bytes(at offset: Int = 0, count: Int) throws(DatasetError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: max(min(count, size - offset), 0))
    guard !bytes.isEmpty else { return [] }
    let read: Int
    do {
      read = try bytes.withUnsafeMutableBytes { buffer in
        try buffer.baseAddress.map { try self.read(buffer.count, at: offset, into: $0) } ?? 0
      }
    } catch let error as DatasetError {
      throw error
    } catch {
      throw .unreadable(path: path, reason: "\(error)")
    }
    bytes.removeLast(bytes.count - read)
    return bytes
  }
}

/// The identity of a file, independent of the path that leads to it.
package struct FileIdentity: Hashable, Sendable {
  private let device: dev_t
  private let number: ino_t

  /// Creates the identity of the file at a path; nil if it does not exist or is not accessible.
  package init?(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    (device, number) = (status.st_dev, status.st_ino)
  }
}

/// A path, or a part of one, as the system stores it: bytes, which need not be valid UTF-8. Paths are compared and
/// ordered by their bytes.
struct FilePath: Sendable, Hashable, Comparable, CustomStringConvertible {
  let bytes: [UInt8]

  private static let slash = UInt8(ascii: "/")

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  init(_ text: String) { bytes = Array(text.utf8) }

  static func < (one: FilePath, other: FilePath) -> Bool {
    one.bytes.lexicographicallyPrecedes(other.bytes)
  }

  /// The path for people; invalid UTF-8 is shown as U+FFFD.
  var description: String { String(decoding: bytes, as: UTF8.self) }

  /// Returns the path of `name` in this folder; an empty name returns the folder.
  func appending(_ name: FilePath) -> FilePath {
    bytes.isEmpty ? name : name.bytes.isEmpty ? self : FilePath(bytes + [Self.slash] + name.bytes)
  }

  /// The first folder of a relative path; nil if the path contains no folder.
  var topFolder: FilePath? { bytes.firstIndex(of: Self.slash).map { FilePath(Array(bytes[..<$0])) } }

  /// Calls the system with the path as a C string.
  func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
    (bytes + [0]).withUnsafeBytes { bytes in
      bytes.withMemoryRebound(to: CChar.self) { characters in
        guard let start = characters.baseAddress else { preconditionFailure("a path without an end") }
        return body(start)
      }
    }
  }
}
