import Commands
import Federation
import Foundation

/// A folder that is there with all its files, or not at all.
///
/// A new one is filled beside its place and renamed. An empty one that is there stays the folder it is, somebody's
/// working directory perhaps: it is filled from a hidden folder inside.
struct StagedFolder {
  private let folder: URL
  private let stage: URL
  private let isNew: Bool

  /// Throws ``CommandFailure`` where something else is at `path`, or anything is inside.
  init(_ path: String) throws(CommandFailure) {
    folder = URL(fileURLWithPath: path, isDirectory: true).standardizedFileURL
    var isFolder: ObjCBool = false
    isNew = !FileManager.default.fileExists(atPath: folder.path, isDirectory: &isFolder)
    if !isNew {
      guard isFolder.boolValue else { throw CommandFailure(.store, "\(path): it is there, and is no folder") }
      let names: [String]
      do { names = try FileManager.default.contentsOfDirectory(atPath: folder.path) } catch {
        throw CommandFailure(.store, "\(path): \(error.systemReason)")
      }
      guard names.isEmpty else {
        throw CommandFailure(.store, "\(path) is not empty, and nothing is overwritten; name a new folder")
      }
    }
    let parent = isNew ? folder.deletingLastPathComponent() : folder
    stage = parent.appendingPathComponent(".\(folder.lastPathComponent).\(getpid())", isDirectory: true)
  }

  /// Calls `body` with an empty folder, which afterwards is at its place; where it throws, nothing is left behind.
  func fill(_ body: (URL) throws -> Void) throws {
    let parent = stage.deletingLastPathComponent().path
    guard FileManager.default.fileExists(atPath: parent) else {
      throw CommandFailure(.store, "\(folder.path): there is no folder \(parent) to make it in")
    }
    do {
      try FileManager.default.createDirectory(at: stage, withIntermediateDirectories: false)
      defer { try? FileManager.default.removeItem(at: stage) }
      try body(stage)
      if isNew { try FileManager.default.moveItem(at: stage, to: folder) } else { try moveEntries() }
    } catch let error as CocoaError {
      throw CommandFailure(.store, "\(folder.path): \(error.systemReason)")
    }
  }

  /// What was moved before something failed goes back, to be removed with the rest.
  private func moveEntries() throws {
    var moved: [String] = []
    do {
      for name in try FileManager.default.contentsOfDirectory(atPath: stage.path) {
        try FileManager.default.moveItem(
          at: stage.appendingPathComponent(name), to: folder.appendingPathComponent(name))
        moved.append(name)
      }
    } catch {
      for name in moved {
        try? FileManager.default.moveItem(
          at: folder.appendingPathComponent(name), to: stage.appendingPathComponent(name))
      }
      throw error
    }
  }
}
