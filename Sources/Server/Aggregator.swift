import Engine
import Federation
import Foundation
import Wire

/// Makes one model of a round's admitted updates, part by part, by the plan's rule. It reads them back from
/// the store, in client order, and never has more of them in memory than it needs.
package struct Aggregator: Sendable {
  let plan: Plan
  let snapshot: Snapshot
  let key: RoundKey
  let ledger: Ledger
  /// The weights of a client's update, or some bytes of them.
  let read: @Sendable (_ client: String, _ bytes: Range<Int>?) throws -> Data

  /// Columns of a part that a rule over all clients' values looks at together: 256 KiB a client.
  private static let columns = 1 << 16

  /// A client's update: which parts it holds, and where in its bytes.
  private struct Update {
    let client: String
    let samples: Int
    let coding: UpdateCoding
    /// Blocks of the model that it was trained on.
    let kept: [Int]
    /// Offsets in floats by part.
    let offsets: [String: Int]
  }

  /// The snapshot with the parts replaced that at least one client trained.
  package func run() throws -> Snapshot {
    let updates = updates
    var parts: [String: Data] = [:]
    switch plan.round.aggregation {
    case .mean: parts = try means(updates)
    case .median: parts = try robust(updates) { CoordinateRules.median(of: $0) }
    case .trimmedMean:
      let trim = plan.round.trim
      parts = try robust(updates) { CoordinateRules.trimmedMean(of: $0, trim: trim) }
    }
    return snapshot.replacing(parts: parts)
  }

  private var updates: [Update] {
    ledger.inClientOrder.map { client, offer in
      var (offsets, offset): ([String: Int], Int) = ([:], 0)
      let kept = plan.keptBlocks(key, client: client)
      for version in snapshot.trained(keeping: kept) {
        offsets[version.name] = offset
        offset += version.bytes / 4
      }
      let coding = plan.coding(offer.codec ?? .plain, key.stage, keeping: kept)
      return Update(
        client: client, samples: offer.samples, coding: coding, kept: kept, offsets: offsets)
    }
  }

  private func values(of update: Update) throws -> [Float] {
    let base = update.coding.codec == .plain ? [] : snapshot.trainedWeights(keeping: update.kept)
    return try update.coding.decode(try read(update.client, nil), base: base)
  }

  /// Some values of an update. Of a plain one they alone are read; any other is decoded as a whole.
  private func values(of update: Update, _ first: Int, count: Int) throws -> [Float] {
    guard update.coding.codec == .plain else { return Array(try values(of: update)[first..<first + count]) }
    return try read(update.client, 4 * first..<4 * (first + count)).withUnsafeBytes { bytes in
      [Float](unsafeUninitializedCapacity: count) { to, initialised in
        UnsafeMutableRawBufferPointer(to).copyMemory(from: bytes)
        initialised = count
      }
    }
  }

  private var parts: [Model.Part] { snapshot.stage.parts }

  private func means(_ updates: [Update]) throws -> [String: Data] {
    var sums: [String: WeightedMean] = [:]
    for part in parts {
      let samples = updates.filter { $0.offsets[part.name] != nil }.reduce(0) { $0 + $1.samples }
      if samples > 0 { sums[part.name] = WeightedMean(count: part.range.count, samples: samples) }
    }
    for update in updates {
      try values(of: update).withUnsafeBufferPointer { values in
        for part in parts {
          guard let offset = update.offsets[part.name] else { continue }
          let floats = UnsafeBufferPointer(rebasing: values[offset..<offset + part.range.count])
          sums[part.name]?.fold(floats, samples: update.samples)
        }
      }
    }
    return sums.mapValues { $0.finish().withUnsafeBytes { Data($0) } }
  }

  /// A rule over all clients' values of a weight, some columns of a part at a time.
  private func robust(_ updates: [Update], _ rule: ([[Float]]) -> [Float]) throws -> [String: Data] {
    var result: [String: Data] = [:]
    for part in parts {
      let holders = updates.filter { $0.offsets[part.name] != nil }
      guard !holders.isEmpty else { continue }
      var data = Data(capacity: part.range.count * 4)
      for first in stride(from: 0, to: part.range.count, by: Self.columns) {
        let columns = first..<min(first + Self.columns, part.range.count)
        let matrix = try holders.map { update in
          try values(of: update, (update.offsets[part.name] ?? 0) + columns.lowerBound, count: columns.count)
        }
        rule(matrix).withUnsafeBytes { data.append(contentsOf: $0) }
      }
      result[part.name] = data
    }
    return result
  }
}
