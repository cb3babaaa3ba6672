import Federation
import Foundation

/// An update in a file. It is read in pieces, so that it need not be in memory as a whole.
package struct UpdateFile: ~Copyable {
  private let path: String
  private let descriptor: Int32

  /// Opens a file to read it. Throws ``StoreError``.
  package init(_ file: URL) throws(StoreError) { try self.init(file, O_RDONLY) }

  /// Opens a file to write it, which nobody else may read. Throws ``StoreError``.
  init(creating file: URL) throws(StoreError) { try self.init(file, O_WRONLY | O_CREAT) }

  private init(_ file: URL, _ flags: Int32) throws(StoreError) {
    path = file.path
    descriptor = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw StoreError("\(path): \(String(cString: strerror(errno)))") }
  }

  deinit { close(descriptor) }

  /// Bytes in the file.
  package var count: Int {
    var status = stat()
    return fstat(descriptor, &status) == 0 ? Int(status.st_size) : 0
  }

  /// Fills the buffer from an offset on. Throws ``StoreError``, also where the file ends before.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(StoreError) {
    var done = 0
    while done < buffer.count {
      let count = pread(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset + done))
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw failure(count < 0 ? errno : EIO) }
      done += count
    }
  }

  /// Puts bytes to their place. Throws ``StoreError``.
  package func write(_ bytes: Data, at offset: Int) throws(StoreError) {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes {
        pwrite(descriptor, $0.baseAddress! + done, $0.count - done, off_t(offset + done))
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw failure(errno) }
      done += count
    }
  }

  /// Returns once the bytes would survive a power cut.
  func synchronise() throws(StoreError) {
    guard fdatasync(descriptor) == 0 else { throw failure(errno) }
  }

  /// Returns once the bytes of a file would survive a power cut, or it is there no more. Throws ``StoreError``.
  static func synchronise(_ file: URL) throws(StoreError) {
    do { try UpdateFile(file).synchronise() } catch {
      guard access(file.path, F_OK) != 0, errno == ENOENT else { throw error }
    }
  }

  /// The whole of it. Throws ``StoreError``.
  package func bytes() throws(StoreError) -> Data {
    var data = Data(count: count)
    let result = data.withUnsafeMutableBytes { buffer -> Result<Void, StoreError> in
      do throws(StoreError) { return .success(try read(into: buffer, at: 0)) } catch {
        return .failure(error)
      }
    }
    try result.get()
    return data
  }

  /// Gives float32 values from the one at `first` on, `count` in all, to `body`, some at a time, each time with the index of
  /// the first of them among the `count`. Throws ``StoreError``.
  func floats(
    from first: Int = 0, count: Int, _ body: (UnsafeBufferPointer<Float>, Int) -> Void
  ) throws(StoreError) {
    let piece = UnsafeMutableBufferPointer<Float>.allocate(capacity: min(count, Self.piece))
    defer { piece.deallocate() }
    var done = 0
    while done < count {
      let values = UnsafeMutableBufferPointer(rebasing: piece[..<min(piece.count, count - done)])
      try read(into: UnsafeMutableRawBufferPointer(values), at: 4 * (first + done))
      body(UnsafeBufferPointer(values), done)
      done += values.count
    }
  }

  /// Floats that are read at a time: they stay in a core's cache while they are looked at.
  private static let piece = 32 << 10

  private func failure(_ code: Int32) -> StoreError {
    StoreError("\(path): \(String(cString: strerror(code)))")
  }
}
