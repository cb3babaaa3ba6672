import Foundation
import TestSupport

/// The Python interpreter for checks with other software: `PYTHON`, or python3.
enum Python {
  private static let script = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "interop/check_export.py").path

  /// Whether onnx and onnxruntime are installed.
  static var hasONNX: Bool { get async { await (try? run([]))?.code == 0 } }

  /// Whether PyTorch Geometric is installed.
  static var hasGeometric: Bool { get async { await (try? run(["--graphs"]))?.code == 0 } }

  /// Checks a folder's files (Tests/interop/check_export.py). Returns the exit code and the output.
  static func run(_ folders: [String]) async throws -> (code: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    let python = ProcessInfo.processInfo.environment["PYTHON"] ?? "python3"
    process.arguments = [python, script] + folders
    // A file instead of a pipe, which would have to be read while the process runs.
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
