import Engine
import Federation
import Foundation
import Wire

/// Makes one model of a round's admitted updates, part by part, by the plan's rule. It reads them back from
/// the disk, in client order, and never has more of them in memory than it needs.
package struct Aggregator: Sendable {
  let plan: Plan
  let snapshot: Snapshot
  let key: RoundKey
  let ledger: Ledger
  /// A client's update.
  let open: @Sendable (_ client: String) throws(StoreError) -> UpdateFile

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

  /// Gives the values of some parts to `body`, of each part some at a time, with the part's position and the first one's index
  /// in it. Of a plain update no more than these are in memory.
  private func read(_ update: Update, _ body: (UnsafeBufferPointer<Float>, Int, Int) -> Void) throws {
    let file = try open(update.client)
    guard update.coding.codec != .plain else {
      for (position, part) in parts.enumerated() {
        guard let offset = update.offsets[part.name] else { continue }
        try file.floats(from: offset, count: part.range.count) { body($0, position, $1) }
      }
      return
    }
    try decode(file, update).withUnsafeBufferPointer { values in
      for (position, part) in parts.enumerated() {
        guard let offset = update.offsets[part.name] else { continue }
        body(UnsafeBufferPointer(rebasing: values[offset..<offset + part.range.count]), position, 0)
      }
    }
  }

  private func decode(_ file: borrowing UpdateFile, _ update: Update) throws -> [Float] {
    try update.coding.decode(try file.bytes(), base: snapshot.trainedWeights(keeping: update.kept))
  }

  /// Some values of an update. Of a plain one they alone are read; any other is decoded as a whole.
  private func values(of update: Update, _ first: Int, count: Int) throws -> [Float] {
    let file = try open(update.client)
    guard update.coding.codec == .plain else {
      return Array(try decode(file, update)[first..<first + count])
    }
    var values: [Float] = []
    values.reserveCapacity(count)
    try file.floats(from: first, count: count) { piece, _ in values += piece }
    return values
  }

  private var parts: [Model.Part] { snapshot.stage.parts }

  private func means(_ updates: [Update]) throws -> [String: Data] {
    var sums: [String: WeightedMean] = [:]
    for part in parts {
      let samples = updates.filter { $0.offsets[part.name] != nil }.reduce(0) { $0 + $1.samples }
      if samples > 0 { sums[part.name] = WeightedMean(count: part.range.count, samples: samples) }
    }
    for update in updates {
      try read(update) { values, position, first in
        sums[parts[position].name]?.fold(values, at: first, samples: update.samples)
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
