import Foundation
import TestSupport
import Testing

/// The Python of docs/python.md reads what its commands have written; `make interop` runs this test.
@Suite(
  .unhurried,
  .enabled("python3 has not all packages of docs/python.md (make interop)") {
    await Python.has(["pandas", "tensorboard", "torch", "timm", "safetensors", "onnxruntime"])
  })
struct PythonDocumentTests {
  @Test func itsExamplesRun() async throws {
    let document = try Markdown("docs/python.md")
    try await withTemporaryFolder { folder in
      try await DocumentRunner(document, in: folder).run()
      let code = document.blocks.filter { $0.language == "python" }.map(\.text).joined(separator: "\n")
      let outcome = try await Python.run(["-c", code], in: folder)
      #expect(outcome.code == 0, "\(outcome.output)")
      #expect(outcome.output.contains("linear probe "), "\(outcome.output)")
    }
  }
}
