import Foundation

/// Files of keys and certificates in one folder. Nobody but their owner reads them, and a file belongs to whom
/// its folder belongs to: what root makes for a service, the service can read.
struct KeyFiles: Sendable {
  let folder: URL

  func url(_ name: String) -> URL { folder.appendingPathComponent(name) }

  func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: url(name).path) }

  /// Makes the folder, for its owner alone. Throws ``CertificateError``.
  func create() throws(CertificateError) {
    guard !FileManager.default.fileExists(atPath: folder.path) else { return }
    do {
      try FileManager.default.createDirectory(
        at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
      throw CertificateError("\(folder.path): \(error.localizedDescription)")
    }
    give(folder.path, to: folder.deletingLastPathComponent())
  }

  /// Throws ``CertificateError``, which names the file.
  func read(_ name: String) throws(CertificateError) -> String {
    do {
      return try String(contentsOf: url(name), encoding: .utf8)
    } catch {
      let isMissing = (error as? CocoaError)?.code == .fileReadNoSuchFile
      throw CertificateError(
        "\(url(name).path): \(isMissing ? "there is no such file" : error.localizedDescription)")
    }
  }

  /// Writes a whole file or nothing. Throws ``CertificateError``.
  func write(_ text: String, to name: String) throws(CertificateError) {
    let draft = url(".\(name).\(getpid())")
    let descriptor = open(draft.path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    guard descriptor >= 0 else {
      throw CertificateError("\(draft.path): \(String(cString: strerror(errno)))")
    }
    let bytes = Array(text.utf8)
    let written = Foundation.write(descriptor, bytes, bytes.count)
    let isSafe = written == bytes.count && fsync(descriptor) == 0
    close(descriptor)
    give(draft.path, to: folder)
    guard isSafe, rename(draft.path, url(name).path) == 0 else {
      let reason = String(cString: strerror(errno))
      unlink(draft.path)
      throw CertificateError("\(url(name).path): \(reason)")
    }
  }

  /// Adds a line to a file, in one piece: a server and a command may do so at once. Throws ``CertificateError``.
  func append(_ line: String, to name: String) throws(CertificateError) {
    let path = url(name).path
    let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    guard descriptor >= 0 else { throw CertificateError("\(path): \(String(cString: strerror(errno)))") }
    defer { close(descriptor) }
    give(path, to: folder)
    let bytes = Array("\(line)\n".utf8)
    guard Foundation.write(descriptor, bytes, bytes.count) == bytes.count, fsync(descriptor) == 0 else {
      throw CertificateError("\(path): \(String(cString: strerror(errno)))")
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

  private func give(_ path: String, to folder: URL) {
    var status = stat()
    guard stat(folder.path, &status) == 0 else { return }
    // Without the right to do so it is its maker's, who then is its user too.
    _ = chown(path, status.st_uid, status.st_gid)
  }
}
