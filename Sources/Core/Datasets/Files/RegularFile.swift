import Foundation

/// An open regular file; pipes and devices, which could wait for ever, are rejected.
final class RegularFile {
  /// Bytes of the file when it was opened.
  let size: Int
  private let descriptor: Int32
  private let path: String

  /// Throws ``DatasetError/unreadable(path:reason:)``.
  convenience init(_ path: String) throws(DatasetError) { try self.init(FilePath(path)) }

  /// The same of a path that need be no text.
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

  /// Reads up to `count` bytes from `offset` on; fewer only at the file's end.
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

  /// The bytes `offset` ..< `offset + count`, or as many of them as there are.
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

/// Which file a path leads to, whatever it is called there.
package struct FileIdentity: Hashable, Sendable {
  private let device: dev_t
  private let number: ino_t

  /// Nil where there is nothing, or nothing that may be looked at.
  package init?(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    (device, number) = (status.st_dev, status.st_ino)
  }
}

/// A path, or a part of one, as the system has it: bytes, which need be no text. Two are equal where their bytes are,
/// however alike they look, and their order is that of their bytes.
struct FilePath: Sendable, Hashable, Comparable, CustomStringConvertible {
  let bytes: [UInt8]

  private static let slash = UInt8(ascii: "/")

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  init(_ text: String) { bytes = Array(text.utf8) }

  static func < (one: FilePath, other: FilePath) -> Bool {
    one.bytes.lexicographicallyPrecedes(other.bytes)
  }

  /// For people: what is no text in it is shown as U+FFFD.
  var description: String { String(decoding: bytes, as: UTF8.self) }

  /// What is called `name` in this folder; the path of nothing is that of the folder itself.
  func appending(_ name: FilePath) -> FilePath {
    bytes.isEmpty ? name : name.bytes.isEmpty ? self : FilePath(bytes + [Self.slash] + name.bytes)
  }

  /// The folder at the top that it lies in; nil where it lies in none.
  var topFolder: FilePath? { bytes.firstIndex(of: Self.slash).map { FilePath(Array(bytes[..<$0])) } }

  /// Calls the system with the path.
  func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
    (bytes + [0]).withUnsafeBytes { bytes in
      bytes.withMemoryRebound(to: CChar.self) { characters in
        guard let start = characters.baseAddress else { preconditionFailure("a path without an end") }
        return body(start)
      }
    }
  }
}
