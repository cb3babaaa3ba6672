import Foundation
import TestSupport

/// The interpreter that other software's view of a file is asked of: `PYTHON`, or python3.
enum Python {
  private static let script = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "interop/check_export.py").path

  /// Whether it has onnx and onnxruntime.
  static var hasONNX: Bool { get async { await (try? run([]))?.code == 0 } }

  /// Checks a folder's files (Tests/interop/check_export.py). Returns the exit code and what was said.
  static func run(_ folders: [String]) async throws -> (code: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    let python = ProcessInfo.processInfo.environment["PYTHON"] ?? "python3"
    process.arguments = [python, script] + folders
    // A file, not a pipe: nobody has to read while it runs.
    let log = FileManager.default.temporaryDirectory.appendingPathComponent("strata-\(UUID().uuidString)")
    _ = FileManager.default.createFile(atPath: log.path, contents: nil)
    defer { try? FileManager.default.removeItem(at: log) }
    let handle = try FileHandle(forWritingTo: log)
    (process.standardOutput, process.standardError) = (handle, handle)
    let code = try await process.end()
    try handle.close()
    return (code, try String(contentsOf: log, encoding: .utf8))
  }
}
