import Engine
import Foundation
import Simulation

/// A golden case in a temporary folder: a step of AdamW without gradient and decay, which changes nothing.
enum OptimiserCase {
  /// Runs the case; `spoil` changes its tensors before they are written.
  static func run(
    op: String = "adamw", _ spoil: (inout [String: [Float]]) -> Void
  ) throws -> Conformance.Outcome? {
    var tensors: [String: [Float]] = [
      "in.parameter": [1, -2, 4], "in.gradients": [0, 0, 0], "out.parameter": [1, -2, 4],
    ]
    spoil(&tensors)
    var file = Safetensors()
    for (name, values) in tensors {
      let shape = name == "in.gradients" ? [1, values.count] : [values.count]
      file.add(name, Safetensors.Tensor(shape: shape, values: values))
    }
    let manifest = """
      {"format": 1, "cases": [{"name": "step", "op": "\(op)", "file": "step.safetensors", "tolerance": 1e-5,
      "attributes": {"lr": 0.1, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0}}]}
      """
    return try withFolder { folder in
      try file.encoded().write(to: folder.appendingPathComponent("step.safetensors"))
      try Data(manifest.utf8).write(to: folder.appendingPathComponent("manifest.json"))
      return try GoldenFolder(folder).cases.first.map(Conformance.run)
    }
  }

  static func withFolder<Result>(_ body: (URL) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("strata-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try body(folder)
  }
}
