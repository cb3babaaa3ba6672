import Engine
import Federation
import Foundation
import Wire

/// Measures what coding an update takes of one core, for what a plan's first stage trains.
package struct CodecBenchmark: Sendable {
  /// One codec's figures; the names are those that `fedsim bench codec --json` prints.
  package struct Row: Sendable, Codable {
    package let codec: String
    /// Of the update as float32.
    package let bytes: Int
    /// Of the coded update.
    package let codedBytes: Int
    /// Bytes of float32 a second: numbers of the difference made, without zlib and with it, and the way back.
    package let numbersBytesPerSecond: Double
    package let encodeBytesPerSecond: Double
    package let decodeNumbersBytesPerSecond: Double
    package let decodeBytesPerSecond: Double
  }

  private let plan: Plan
  private let repetitions: Int

  /// The best of `repetitions` is what counts: the others had company.
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
    // As training leaves it: most weights moved by a little of their size.
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
