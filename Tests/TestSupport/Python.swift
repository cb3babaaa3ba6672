import Foundation

/// The Python interpreter for checks with other software: `PYTHON`, or python3.
package enum Python {
  private static let script = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "interop/check_export.py").path

  /// Whether onnx and onnxruntime are installed.
  package static var hasONNX: Bool { get async { await (try? check([]))?.code == 0 } }

  /// Whether PyTorch Geometric is installed.
  package static var hasGeometric: Bool { get async { await (try? check(["--graphs"]))?.code == 0 } }

  /// Whether packages are installed.
  package static func has(_ packages: [String]) async -> Bool {
    let find =
      "import importlib.util, sys; sys.exit(any(importlib.util.find_spec(n) is None for n in sys.argv[1:]))"
    return await (try? run(["-c", find] + packages))?.code == 0
  }

  /// Checks a folder's files (Tests/interop/check_export.py). Returns the exit code and the output.
  package static func check(_ folders: [String]) async throws -> (code: Int32, output: String) {
    try await run([script] + folders)
  }

  /// Runs the interpreter in a folder. Returns the exit code and the output.
  package static func run(
    _ arguments: [String], in folder: URL? = nil
  ) async throws -> (code: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    let python = ProcessInfo.processInfo.environment["PYTHON"] ?? "python3"
    process.arguments = [python] + arguments
    if let folder { process.currentDirectoryURL = folder }
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
