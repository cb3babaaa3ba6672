import Datasets
import Federation
import Foundation

/// The updates on the server's disk, one file each. An arriving update can be resumed after a lost connection or a
/// restart of the server; an admitted one is kept until its round is over. So no update need be in memory.
package struct UpdateSpool: Sendable {
  /// The folder of a client's arriving updates is named after it.
  private let arriving: URL
  private let admitted: URL
  /// Runs deletions, so that the threads that handle messages do not wait for the disk.
  private let queue = OperationQueue()

  /// Opens the spool in a folder, which it creates if necessary. Throws ``StoreError``.
  package init(_ folder: URL) throws(StoreError) {
    arriving = folder.appendingPathComponent("arriving")
    admitted = folder.appendingPathComponent("admitted")
    queue.maxConcurrentOperationCount = 8
    do {
      for own in [arriving, admitted] {
        try FileManager.default.createDirectory(
          at: own, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
      }
      // The outer folder may be older than this call.
      try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: folder.path)
    } catch {
      throw StoreError("\(folder.path): \(error.systemWords)")
    }
  }

  // MARK: - Arriving updates

  private func arriving(_ client: String, _ digest: Digest) -> URL {
    Self.file(digest.description, in: folder(of: client))
  }

  private func folder(of client: String) -> URL { arriving.appending(component: client) }

  /// Returns the bytes of an offered update that are here already. Removes the client's other updates.
  package func begin(_ offer: UpdateOffer, from client: String) -> Int {
    let own = arriving(client, offer.digest)
    let folder = folder(of: client)
    for name in Self.names(in: folder) where name != own.lastPathComponent {
      try? FileManager.default.removeItem(at: Self.file(name, in: folder))
    }
    let size = (try? UpdateFile(own).count) ?? 0
    guard size <= offer.bytes else {
      discard(offer, from: client)
      return 0
    }
    return size
  }

  /// Opens the file for the update's bytes. Throws ``StoreError`` if it cannot be written.
  package func open(_ offer: UpdateOffer, from client: String) throws(StoreError) -> UpdateFile {
    // A failure to create the folder is reported for the file.
    try? FileManager.default.createDirectory(
      at: folder(of: client), withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    return try UpdateFile(creating: arriving(client, offer.digest))
  }

  /// Returns the part of the update that has arrived. Throws ``StoreError`` if there is none.
  package func arrived(_ offer: UpdateOffer, from client: String) throws(StoreError) -> UpdateFile {
    try UpdateFile(arriving(client, offer.digest))
  }

  /// Returns whether a part of an update has arrived.
  package func holds(_ offer: UpdateOffer, from client: String) -> Bool {
    FileManager.default.fileExists(atPath: arriving(client, offer.digest).path)
  }

  /// Removes an unwanted update.
  package func discard(_ offer: UpdateOffer, from client: String) {
    try? FileManager.default.removeItem(at: arriving(client, offer.digest))
  }

  // MARK: - Admitted updates

  /// Returns the path of a client's admitted update of a round.
  func admitted(_ client: String, _ round: Int64) -> URL {
    Self.file("\(round).\(client)", in: admitted)
  }

  /// Admits an update that has arrived to a round. Throws ``StoreError``.
  func admit(_ offer: UpdateOffer, from client: String, to round: Int64) throws(StoreError) {
    let file = arriving(client, offer.digest)
    guard rename(file.path, admitted(client, round).path) == 0 else {
      throw StoreError("\(file.path): \(String(cString: strerror(errno)))")
    }
  }

  /// Admits bytes computed here to a round. Throws ``StoreError``.
  func admit(_ bytes: Data, from client: String, to round: Int64) throws(StoreError) {
    let path = admitted(client, round)
    unlink(path.path)
    try UpdateFile(creating: path).write(bytes, at: 0)
  }

  /// Returns a client's update of a round. Throws ``StoreError`` if there is none.
  func update(of client: String, in round: Int64) throws(StoreError) -> UpdateFile {
    try UpdateFile(admitted(client, round))
  }

  /// Removes the updates of all other rounds.
  func clear(but round: Int64) { remove { !$0.hasPrefix("\(round).") } }

  /// Removes the updates of a completed round, without waiting for the disk.
  func clear(_ round: Int64) {
    queue.addOperation { [self] in remove { $0.hasPrefix("\(round).") } }
  }

  private func remove(_ isOver: (String) -> Bool) {
    for name in Self.names(in: admitted) where isOver(name) {
      unlink(Self.file(name, in: admitted).path)
    }
  }

  /// Avoids checking whether the path is a folder, since aggregation opens hundreds of files.
  private static func file(_ name: String, in folder: URL) -> URL {
    folder.appending(component: name, directoryHint: .notDirectory)
  }

  private static func names(in folder: URL) -> [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
  }
}

/// An update in a file, read in pieces so that it need not be in memory as a whole.
package struct UpdateFile: ~Copyable {
  private let path: String
  private let descriptor: Int32

  /// Opens a file for reading. Throws ``StoreError``.
  package init(_ file: URL) throws(StoreError) { try self.init(file, O_RDONLY) }

  /// Opens a file for writing, without access for other users. Throws ``StoreError``.
  init(creating file: URL) throws(StoreError) { try self.init(file, O_WRONLY | O_CREAT) }

  private init(_ file: URL, _ flags: Int32) throws(StoreError) {
    path = file.path
    descriptor = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw StoreError("\(path): \(String(cString: strerror(errno)))") }
  }

  deinit { close(descriptor) }

  /// The number of bytes in the file.
  package var count: Int {
    var status = stat()
    return fstat(descriptor, &status) == 0 ? Int(status.st_size) : 0
  }

  /// Fills the buffer from an offset on. Throws ``StoreError``, also if the file is too short.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(StoreError) {
    var done = 0
    while done < buffer.count {
      let count = pread(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset + done))
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw failure(count < 0 ? errno : EIO) }
      done += count
    }
  }

  /// Writes bytes at an offset. Throws ``StoreError``.
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

  /// Flushes the file, so that its bytes survive a power failure.
  func synchronise() throws(StoreError) {
    guard fdatasync(descriptor) == 0 else { throw failure(errno) }
  }

  /// Flushes a file if it still exists. Throws ``StoreError``.
  static func synchronise(_ file: URL) throws(StoreError) {
    do { try UpdateFile(file).synchronise() } catch {
      guard access(file.path, F_OK) != 0, errno == ENOENT else { throw error }
    }
  }

  /// Returns all bytes. Throws ``StoreError``.
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

  /// Passes `count` float32 values from index `first` on to `body`, in pieces, each with the index of its first value
  /// among the `count`. Throws ``StoreError``.
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

  /// The number of floats read at a time, which fit into a core's cache.
  private static let piece = 32 << 10

  private func failure(_ code: Int32) -> StoreError {
    StoreError("\(path): \(String(cString: strerror(code)))")
  }
}
