import Engine
import Federation
import Foundation
import Wire

/// Measures the speed of update coding on one core, for the layers of a plan's first stage.
package struct CodecBenchmark: Sendable {
  /// The figures of one codec. The names are those of `fedsim bench codec --json`.
  package struct Row: Sendable, Codable {
    package let codec: String
    /// The bytes of the update as float32.
    package let bytes: Int
    /// The bytes of the coded update.
    package let codedBytes: Int
    /// Speeds in bytes of float32 per second: coding without and with zlib, and decoding without and with zlib.
    package let numbersBytesPerSecond: Double
    package let encodeBytesPerSecond: Double
    package let decodeNumbersBytesPerSecond: Double
    package let decodeBytesPerSecond: Double
  }

  private let plan: Plan
  private let repetitions: Int

  /// Takes the best of `repetitions`, which was disturbed least by other processes.
  package init(_ plan: Plan, repetitions: Int = 7) { (self.plan, self.repetitions) = (plan, repetitions) }

  package func run() throws -> [Row] {
    try UpdateCodec.allCases.filter { $0 != .plain }.map(row)
  }

  private func row(_ codec: UpdateCodec) throws -> Row {
    let stage = plan.stage(1)
    let coding = UpdateCoding(codec, stage, share: Double(plan.traffic.kept))
    let base = Storage(stage.model.layout)
    Initialisation.random(stage.model, into: base, seed: plan.seed)
    let old = stage.trainedValues(of: base)
    var numbers = RandomNumbers(plan.seed, "an update")
    // Like a training: most weights change by a small fraction of their size.
    let new = old.map { $0 + 0.002 * numbers.normal() }
    let raw = coding.numbers(new, base: old, seed: 1)
    let coded = coding.encode(new, base: old, seed: 1)
    let bytes = 4 * old.count
    func rate(_ body: () throws -> Void) rethrows -> Double {
      let clock = ContinuousClock()
      let times = try (0..<repetitions).map { _ in try clock.measure(body).seconds }
      return Double(bytes) / (times.min() ?? 1)
    }
    return Row(
      codec: codec.rawValue, bytes: bytes, codedBytes: coded.count,
      numbersBytesPerSecond: rate { _ = coding.numbers(new, base: old, seed: 1) },
      encodeBytesPerSecond: rate { _ = coding.encode(new, base: old, seed: 1) },
      decodeNumbersBytesPerSecond: try rate { _ = try coding.update(of: raw, base: old) },
      decodeBytesPerSecond: try rate { _ = try coding.decode(coded, base: old) })
  }
}
