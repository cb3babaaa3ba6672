import Engine
import Federation
import Foundation
import TestSupport
import Testing

/// A plan's `initial` in the commands.
@Suite(.unhurried) struct InitialCommandTests {
  private func run(_ plan: String, _ folder: URL, out: String) async throws -> Command.Outcome {
    try await Command.run(
      "fedsim", "run", plan, "--clients", "2", "--data", "shapes:32", "--out", folder.path(out))
  }

  /// A run starts from the result of another; at a rate near zero it stays the same. The clients do not have the file.
  @Test func aRunStartsFromWhatAnotherLeft() async throws {
    try await withTemporaryFolder { folder in
      #expect(try await run(try folder.plan("first.yaml"), folder, out: "first").code == 0)
      let plan = folder.appendingPathComponent("second.yaml")
      let text = try String(contentsOfFile: folder.path("first.yaml"), encoding: .utf8)
        .replacing("batch: 16", with: "batch: 16, learningRate: 1e-30, weightDecay: 0")
      try Data("seed: 2\ninitial: first/encoder.safetensors\n\(text)".utf8).write(to: plan)
      let outcome = try await run(plan.path, folder, out: "second")
      #expect(outcome.code == 0, "\(outcome)")
      func tensors(_ run: String) throws -> [String: Safetensors.Tensor] {
        let file = folder.appendingPathComponent("\(run)/encoder.safetensors")
        return try EncoderCheckpoint(parsing: Data(contentsOf: file)).tensors
      }
      let (first, second) = (try tensors("first"), try tensors("second"))
      for (name, tensor) in first {
        let other = try #require(second[name])
        #expect(zip(tensor.values, other.values).allSatisfy { abs($0 - $1) < 1e-6 }, "\(name)")
      }
    }
  }

  @Test func aFileThatCannotBeUsedHasOneLine() async throws {
    try await withTemporaryFolder { folder in
      let plan = try folder.plan(extra: "initial: start.safetensors")
      func expectRejection(_ text: String) async throws {
        let server = try await Command.run(
          "fedserver", "run", plan, "--listen", "127.0.0.1:0", "--database", folder.path("db"))
        let simulation = try await run(plan, folder, out: "out")
        let made = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(Set(made).isSubset(of: ["plan.yaml", "start.safetensors"]), "\(made)")
        for (outcome, command) in [(server, "fedserver"), (simulation, "fedsim")] {
          #expect(outcome.code == 3 && outcome.lines.count == 1 && outcome.output.isEmpty, "\(outcome)")
          let line = outcome.lines.first ?? ""
          #expect(line.hasPrefix("\(command): initial: \(folder.path("start.safetensors")): "), "\(line)")
          #expect(line.contains(text), "\(line)")
        }
      }
      try await expectRejection("there is no such file")
      var file = Safetensors()
      file.add("norm.weight", .init(shape: [8], values: .init(repeating: 1, count: 8)))
      try file.encoded().write(to: folder.appendingPathComponent("start.safetensors"))
      try await expectRejection("norm.weight is [8], where this encoder has [24]")
      try Data("This is no encoder, but a text.".utf8).write(
        to: folder.appendingPathComponent("start.safetensors"))
      try await expectRejection("it is not a safetensors file")
      try Data(count: 3).write(to: folder.appendingPathComponent("start.safetensors"))
      try await expectRejection("it is not a safetensors file: 3 bytes")
    }
  }
}
