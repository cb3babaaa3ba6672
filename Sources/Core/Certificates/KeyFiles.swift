import Foundation

/// Files of keys and certificates in one folder. Nobody but their owner reads them, and a file belongs to whom
/// its folder belongs to: what root makes for a service, the service can read.
struct KeyFiles: Sendable {
  let folder: URL

  func url(_ name: String) -> URL { folder.appendingPathComponent(name) }

  func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: url(name).path) }

  /// The files' names, hidden ones left out; none where there is no folder.
  var names: [String] {
    let all = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return all.filter { !$0.hasPrefix(".") }
  }

  /// Makes the folder, for its owner alone. Throws ``CertificateError``.
  func create() throws(CertificateError) { try Self.make(folder) }

  /// Makes a folder with those it lies in. Each belongs to whom the one above belongs to.
  private static func make(_ folder: URL) throws(CertificateError) {
    guard !FileManager.default.fileExists(atPath: folder.path) else { return }
    let above = folder.deletingLastPathComponent()
    if above.path != folder.path { try make(above) }
    guard mkdir(folder.path, 0o700) == 0 else {
      // Somebody else may have made it meanwhile.
      if errno == EEXIST { return }
      throw .system(folder)
    }
    give(folder.path, to: above)
  }

  /// Throws ``CertificateError``, which names the file.
  func read(_ name: String) throws(CertificateError) -> String {
    let descriptor = open(url(name).path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw errno == ENOENT
        ? CertificateError("\(url(name).path): there is no such file") : .system(url(name))
    }
    defer { close(descriptor) }
    var (bytes, buffer) = ([UInt8](), [UInt8](repeating: 0, count: 1 << 14))
    while true {
      let count = Foundation.read(descriptor, &buffer, buffer.count)
      if count == 0 { return String(decoding: bytes, as: UTF8.self) }
      if count > 0 { bytes += buffer.prefix(count) } else if errno != EINTR { throw .system(url(name)) }
    }
  }

  /// Removes a file. Returns whether it was there; throws ``CertificateError`` where it cannot be removed.
  func remove(_ name: String) throws(CertificateError) -> Bool {
    if unlink(url(name).path) == 0 { return true }
    guard errno == ENOENT else { throw .system(url(name)) }
    return false
  }

  /// Writes a whole file or nothing. Throws ``CertificateError``.
  func write(_ text: String, to name: String) throws(CertificateError) {
    let draft = url(".\(name).\(getpid())")
    let descriptor = open(draft.path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    guard descriptor >= 0 else { throw .system(url(name)) }
    let bytes = Array(text.utf8)
    let written = Foundation.write(descriptor, bytes, bytes.count)
    let isSafe = written == bytes.count && fsync(descriptor) == 0
    let fault = errno
    close(descriptor)
    Self.give(draft.path, to: folder)
    guard isSafe, rename(draft.path, url(name).path) == 0 else {
      let error = CertificateError.system(url(name), isSafe ? errno : fault)
      unlink(draft.path)
      throw error
    }
  }

  /// Adds a line to a file, in one piece: a server and a command may do so at once. Throws ``CertificateError``.
  func append(_ line: String, to name: String) throws(CertificateError) {
    let path = url(name).path
    let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    guard descriptor >= 0 else { throw .system(url(name)) }
    defer { close(descriptor) }
    Self.give(path, to: folder)
    let bytes = Array("\(line)\n".utf8)
    guard Foundation.write(descriptor, bytes, bytes.count) == bytes.count, fsync(descriptor) == 0 else {
      throw .system(url(name))
    }
  }

  /// Lines of a file, each cut into words; none where there is no file.
  func lines(_ name: String) -> [[String]] {
    guard let text = try? read(name) else { return [] }
    return text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
  }

  /// What changes when one of the files does.
  func stamp(_ names: [String]) -> [String] {
    names.map { name in
      var status = stat()
      guard stat(url(name).path, &status) == 0 else { return "" }
      return "\(status.st_ino) \(status.st_size) \(status.st_mtim.tv_sec) \(status.st_mtim.tv_nsec)"
    }
  }

  private static func give(_ path: String, to folder: URL) {
    var status = stat()
    guard stat(folder.path, &status) == 0 else { return }
    // Without the right to do so it is its maker's, who then is its user too.
    _ = chown(path, status.st_uid, status.st_gid)
  }
}
