import Foundation

/// The files of keys and certificates in one folder. Only their owner can read them, and their owner is that of the
/// folder, so that a service can read the files that root creates for it.
struct KeyFiles: Sendable {
  let folder: URL

  /// Returns the file's URL without accessing the disk, which could overwrite `errno`.
  func url(_ name: String) -> URL { folder.appending(component: name, directoryHint: .notDirectory) }

  /// Returns whether a file exists. Throws ``CertificateError`` if the folder is not accessible.
  func exists(_ name: String) throws(CertificateError) -> Bool {
    var status = stat()
    if stat(url(name).path, &status) == 0 { return true }
    guard errno == ENOENT || errno == ENOTDIR else { throw .system(url(name)) }
    return false
  }

  /// The names of the files except hidden ones; empty if there is no folder. Throws ``CertificateError`` if it cannot
  /// be read.
  var names: [String] {
    get throws(CertificateError) {
      do {
        return try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { !$0.hasPrefix(".") }
      } catch {
        guard access(folder.path, R_OK | X_OK) != 0 else {
          throw CertificateError("\(folder.path): it is not a readable folder")
        }
        guard errno == ENOENT else { throw .system(folder) }
        return []
      }
    }
  }

  /// Creates the folder, accessible only to its owner. Throws ``CertificateError``.
  func create() throws(CertificateError) { try Self.make(folder) }

  /// Creates a folder and its parents. Each has the owner of its parent.
  private static func make(_ folder: URL) throws(CertificateError) {
    guard !FileManager.default.fileExists(atPath: folder.path) else { return }
    let above = folder.deletingLastPathComponent()
    if above.path != folder.path { try make(above) }
    guard mkdir(folder.path, 0o700) == 0 else {
      // Another process may have created it meanwhile.
      if errno == EEXIST { return }
      throw .system(folder)
    }
    give(folder.path, to: above)
  }

  /// Reads a file. Throws ``CertificateError``, which names the file. Only its owner may have access to a `secret`
  /// file; if the owner is root, the group may read it too, so that a service can use a key that it cannot change.
  func read(_ name: String, secret: Bool = false) throws(CertificateError) -> String {
    let descriptor = open(url(name).path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw errno == ENOENT
        ? CertificateError("\(url(name).path): there is no such file") : .system(url(name))
    }
    defer { close(descriptor) }
    if secret { try Self.requireSecret(descriptor, url(name)) }
    var (bytes, buffer) = ([UInt8](), [UInt8](repeating: 0, count: 1 << 14))
    while true {
      let count = Foundation.read(descriptor, &buffer, buffer.count)
      if count == 0 { return String(decoding: bytes, as: UTF8.self) }
      if count > 0 { bytes += buffer.prefix(count) } else if errno != EINTR { throw .system(url(name)) }
    }
  }

  private static func requireSecret(_ descriptor: Int32, _ file: URL) throws(CertificateError) {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .system(file) }
    let others: mode_t = status.st_uid == 0 ? 0o037 : 0o077
    guard status.st_mode & others != 0 else { return }
    let mode = String(status.st_mode & 0o777, radix: 8)
    throw CertificateError(
      "\(file.path): other users may read this key (mode \(mode)), so it is not used: chmod 600 \(file.path)"
    )
  }

  /// Removes a file. Returns whether it existed. Throws ``CertificateError`` if it cannot be removed.
  func remove(_ name: String) throws(CertificateError) -> Bool {
    if unlink(url(name).path) == 0 { return true }
    guard errno == ENOENT else { throw .system(url(name)) }
    return false
  }

  /// Writes a file atomically. Throws ``CertificateError``.
  func write(_ text: String, to name: String) throws(CertificateError) {
    let draft = url(".\(name).\(getpid())")
    let descriptor = open(draft.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .system(url(name)) }
    let bytes = Array(text.utf8)
    let written = Foundation.write(descriptor, bytes, bytes.count)
    let isSafe = written == bytes.count && fsync(descriptor) == 0
    let fault = written >= 0 && written < bytes.count ? ENOSPC : errno
    close(descriptor)
    Self.give(draft.path, to: folder)
    guard isSafe, rename(draft.path, url(name).path) == 0 else {
      let error = CertificateError.system(url(name), isSafe ? errno : fault)
      unlink(draft.path)
      throw error
    }
    try synchroniseFolder()
  }

  /// Moves a file to another's place. Does nothing if there is none, because another process has moved it. Throws
  /// ``CertificateError``.
  func move(_ name: String, to other: String) throws(CertificateError) {
    guard rename(url(name).path, url(other).path) == 0 else {
      if errno == ENOENT { return }
      throw .system(url(other))
    }
    try synchroniseFolder()
  }

  /// Appends a line to a file in one write, also after an incomplete line. A server and a command may append
  /// concurrently. Throws ``CertificateError`` and leaves the file unchanged.
  func append(_ line: String, to name: String) throws(CertificateError) {
    let path = url(name).path
    let descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .system(url(name)) }
    defer { close(descriptor) }
    while flock(descriptor, LOCK_EX) != 0 { guard errno == EINTR else { throw .system(url(name)) } }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .system(url(name)) }
    if status.st_size == 0 { Self.give(path, to: folder) }
    var last = UInt8(ascii: "\n")
    guard status.st_size == 0 || pread(descriptor, &last, 1, status.st_size - 1) == 1 else {
      throw .system(url(name))
    }
    // A line truncated by a power failure remains a separate, malformed line.
    let bytes = Array("\(last == UInt8(ascii: "\n") ? "" : "\n")\(line)\n".utf8)
    let written = Foundation.write(descriptor, bytes, bytes.count)
    guard written == bytes.count, fsync(descriptor) == 0 else {
      let error = CertificateError.system(url(name), written >= 0 && written < bytes.count ? ENOSPC : errno)
      ftruncate(descriptor, status.st_size)
      throw error
    }
    if status.st_size == 0 { try synchroniseFolder() }
  }

  /// Waits until new files would survive a power failure. Throws ``CertificateError``.
  private func synchroniseFolder() throws(CertificateError) {
    let descriptor = open(folder.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .system(folder) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw .system(folder) }
  }

  /// Returns the lines of a file, parsed with `parse`. Throws ``CertificateError``, also if there is no file or a line
  /// cannot be parsed; the error names the line's number.
  func lines<Entry>(
    _ name: String, _ parse: (_ words: [Substring]) -> Entry?
  ) throws(CertificateError) -> [Entry] {
    var (entries, number) = ([Entry](), 0)
    for line in try read(name).split(separator: "\n", omittingEmptySubsequences: false) {
      number += 1
      if line.isEmpty { continue }
      guard let entry = parse(line.split(separator: " ")) else {
        throw CertificateError("\(url(name).path): line \(number) is invalid")
      }
      entries.append(entry)
    }
    return entries
  }

  /// Returns stamps that change when a file or its permissions change.
  func stamp(_ names: [String]) -> [String] {
    names.map { name in
      var status = stat()
      guard stat(url(name).path, &status) == 0 else { return "" }
      return [status.st_mtim, status.st_ctim].reduce("\(status.st_ino) \(status.st_size)") {
        "\($0) \($1.tv_sec) \($1.tv_nsec)"
      }
    }
  }

  private static func give(_ path: String, to folder: URL) {
    var status = stat()
    guard stat(folder.path, &status) == 0 else { return }
    // Without the permission to change the owner, the creator owns the file, and is then also its user.
    _ = chown(path, status.st_uid, status.st_gid)
  }
}
