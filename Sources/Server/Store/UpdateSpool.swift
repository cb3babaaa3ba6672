import Datasets
import Federation
import Foundation

/// Updates on the server's disk, one file each: on their way in, where a transfer that was cut off goes on from
/// where it stopped, also after the server itself was away; and admitted, until their round is over. So none of
/// them need be in memory, however many there are.
package struct UpdateSpool: Sendable {
  private let folder: URL
  private let admitted: URL
  /// What nothing waits for: the threads that carry messages do not wait for the disk.
  private let queue = OperationQueue()

  /// Opens the spool in a folder, which is created. Throws ``StoreError``.
  package init(_ folder: URL) throws(StoreError) {
    self.folder = folder
    admitted = folder.appendingPathComponent("admitted")
    queue.maxConcurrentOperationCount = 8
    do {
      try FileManager.default.createDirectory(
        at: admitted, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
      // What stands above it was made with it, or is from before.
      try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: folder.path)
    } catch {
      throw StoreError("\(folder.path): \(error.systemWords)")
    }
  }

  // MARK: - On their way in

  private func arriving(_ client: String, _ digest: Digest) -> URL {
    Self.file("\(digest.description.prefix(32)).\(client)", in: folder)
  }

  /// Bytes of an offered update that are here already; what is here of the client's other updates is removed.
  package func begin(_ offer: UpdateOffer, from client: String) -> Int {
    let own = arriving(client, offer.digest)
    for name in Self.names(in: folder) where name.dropFirst(33) == client && name != own.lastPathComponent {
      try? FileManager.default.removeItem(at: Self.file(name, in: folder))
    }
    let size = (try? UpdateFile(own).count) ?? 0
    guard size <= offer.bytes else {
      discard(offer, from: client)
      return 0
    }
    return size
  }

  /// Where the update's bytes go. Throws ``StoreError`` where they cannot be written.
  package func open(_ offer: UpdateOffer, from client: String) throws(StoreError) -> UpdateFile {
    try UpdateFile(creating: arriving(client, offer.digest))
  }

  /// The update as far as it has come. Throws ``StoreError`` where nothing has.
  package func arrived(_ offer: UpdateOffer, from client: String) throws(StoreError) -> UpdateFile {
    try UpdateFile(arriving(client, offer.digest))
  }

  /// Whether something of an update has come.
  package func holds(_ offer: UpdateOffer, from client: String) -> Bool {
    FileManager.default.fileExists(atPath: arriving(client, offer.digest).path)
  }

  /// Removes an update that is not wanted.
  package func discard(_ offer: UpdateOffer, from client: String) {
    try? FileManager.default.removeItem(at: arriving(client, offer.digest))
  }

  // MARK: - Admitted

  /// Where a client's admitted update of a round is.
  func admitted(_ client: String, _ round: Int64) -> URL {
    Self.file("\(round).\(client)", in: admitted)
  }

  /// Counts an update that has come among those of a round. Throws ``StoreError``.
  func admit(_ offer: UpdateOffer, from client: String, to round: Int64) throws(StoreError) {
    let file = arriving(client, offer.digest)
    guard rename(file.path, admitted(client, round).path) == 0 else {
      throw StoreError("\(file.path): \(String(cString: strerror(errno)))")
    }
  }

  /// Counts bytes that were made here among a round's updates. Throws ``StoreError``.
  func admit(_ bytes: Data, from client: String, to round: Int64) throws(StoreError) {
    let path = admitted(client, round)
    unlink(path.path)
    try UpdateFile(creating: path).write(bytes, at: 0)
  }

  /// A client's update of a round. Throws ``StoreError`` where there is none.
  func update(of client: String, in round: Int64) throws(StoreError) -> UpdateFile {
    try UpdateFile(admitted(client, round))
  }

  /// Removes the updates of every round but this one.
  func clear(but round: Int64) { remove { !$0.hasPrefix("\(round).") } }

  /// Removes the updates of a round that is over. Nothing waits for that: it can take as long as the disk is busy.
  func clear(_ round: Int64) {
    queue.addOperation { [self] in remove { $0.hasPrefix("\(round).") } }
  }

  private func remove(_ isOver: (String) -> Bool) {
    for name in Self.names(in: admitted) where isOver(name) {
      unlink(Self.file(name, in: admitted).path)
    }
  }

  /// Without a look at the disk for whether it is a folder: hundreds are opened as a round is aggregated.
  private static func file(_ name: String, in folder: URL) -> URL {
    folder.appending(component: name, directoryHint: .notDirectory)
  }

  private static func names(in folder: URL) -> [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
  }
}

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
