import Engine
import Federation
import Foundation
import Wire

/// The check of an offered update's bytes. It runs outside the job engine, on any number of threads.
package struct UpdateCheck: Sendable {
  let offer: UpdateOffer
  let coding: UpdateCoding
  /// The base model of the training.
  let snapshot: Snapshot
  /// The blocks that the client has.
  let kept: [Int]
  let normLimit: Double
  /// Whether the update has sums, whose size no limit on weights bounds.
  let isOfSums: Bool

  init(
    _ plan: Plan, _ stages: PlanStages, _ offer: UpdateOffer, from client: String, base snapshot: Snapshot
  ) {
    (self.offer, self.snapshot) = (offer, snapshot)
    kept = plan.keptBlocks(offer.key, client: client)
    coding = stages.coding(offer.codec, offer.key, client: client)
    normLimit = Double(plan.round.normLimit)
    isOfSums =
      switch snapshot.stage.updateContent(round: offer.key.round) {
      case .parameters: false
      case .sums: true
      }
  }

  /// Returns the fault of an update that has arrived; nil if there is none. Throws ``StoreError`` if it cannot be read.
  package func rejection(in updates: UpdateSpool, from client: String) throws(StoreError) -> Rejection? {
    try rejection(of: updates.arrived(offer, from: client))
  }

  /// - Parameter receipt: the receipt of these bytes, if they arrived on one connection.
  func rejection(
    of file: borrowing UpdateFile, _ receipt: UpdateReceipt? = nil
  ) throws(StoreError) -> Rejection? {
    guard file.count == offer.bytes else { return .wrongDigest }
    if offer.isEmpty { return offer.digest == Digest(of: Data()) ? nil : .wrongDigest }
    guard receipt.map({ $0.digest == offer.digest }) ?? true else { return .wrongDigest }
    guard coding.codec == .plain, normLimit == 0, offer.bytes % 4 == 0 else {
      let bytes = try file.bytes()
      guard receipt != nil || Digest(of: bytes) == offer.digest else { return .wrongDigest }
      do throws(Rejection) { _ = try values(bytes) } catch { return error }
      return nil
    }
    if let largest = receipt?.largest { return rejection(ofLargest: largest) }
    var hasher = Hasher256()
    var largest: Float = 0
    try file.floats(count: offer.bytes / 4) { values, _ in
      hasher.update(UnsafeRawBufferPointer(values))
      largest = Elementwise.larger(largest, Elementwise.largestMagnitude(values))
    }
    guard hasher.finish() == offer.digest else { return .wrongDigest }
    return rejection(ofLargest: largest)
  }

  /// Returns the fault of weights with the given largest magnitude; nil if there is none.
  private func rejection(ofLargest largest: Float) -> Rejection? {
    guard largest.isFinite else { return .notFinite }
    if isOfSums { return nil }
    let before = snapshot.largestMagnitude(of: snapshot.trained(keeping: kept))
    return Divergence.isReached(largest, after: before) ? .diverged : nil
  }

  /// Returns the values of an update. Throws their fault, apart from a wrong digest.
  func values(_ bytes: Data) throws(Rejection) -> [Float] {
    if offer.isEmpty { return [] }
    let base = snapshot.trainedWeights(keeping: kept)
    let values: [Float]
    do { values = try coding.decode(bytes, base: base) } catch { throw .undecodable }
    let largest = values.withUnsafeBufferPointer { Elementwise.largestMagnitude($0) }
    if let rejection = rejection(ofLargest: largest) { throw rejection }
    guard normLimit > 0 else { return values }
    var (distance, length) = (0.0, 0.0)
    for (old, new) in zip(base, values) {
      distance += Double(new - old) * Double(new - old)
      length += Double(old) * Double(old)
    }
    guard distance.squareRoot() <= normLimit * length.squareRoot() else { throw .overNorm }
    return values
  }
}

/// Facts about an update's bytes, collected on arrival so that they need not be read again.
package struct UpdateReceipt: Sendable, Hashable {
  package let digest: Digest
  /// The largest magnitude of its float32 values, NaN if one is NaN; nil if the pieces split values.
  package let largest: Float?
}

/// An update that one connection receives into a file.
package final class UpdateArrival {
  private var file: UpdateFile?
  private var hasher = Hasher256()
  private var (count, largest): (Int, Float?) = (0, 0)

  package init() {}

  /// Begins to receive an update, from its beginning or from an offset.
  package func begin(in file: consuming UpdateFile) {
    self.file = consume file
    _ = hasher.restart()
    (count, largest) = (0, 0)
  }

  /// Writes a piece to the file. A piece that does not follow the previous ones belongs to an update resumed from an
  /// earlier connection. Throws ``StoreError`` if it cannot be written.
  package func take(_ bytes: Data, at offset: Int) throws(StoreError) {
    try file?.write(bytes, at: offset)
    guard offset == count else { return }
    count += bytes.count
    bytes.withUnsafeBytes { bytes in
      hasher.update(bytes)
      largest = largest.flatMap { known in
        bytes.count % 4 == 0 ? Elementwise.larger(known, Elementwise.largestMagnitude(bytes: bytes)) : nil
      }
    }
  }

  /// Ends the update. Returns its receipt; nil if some of its bytes arrived on another connection.
  package func finish(_ offer: UpdateOffer) -> UpdateReceipt? {
    file = nil
    guard count == offer.bytes else { return nil }
    return UpdateReceipt(digest: hasher.restart(), largest: largest)
  }
}

/// A late update as if it had been trained from the current weights: its changes are kept.
struct LateUpdate {
  /// The base model of the update, and the current one, of the same stage.
  let old, new: Snapshot

  /// Returns the bytes and the offer to store for the round `key` in place of the client's.
  func rebased(_ offer: UpdateOffer, _ values: [Float], to key: RoundKey) -> (offer: UpdateOffer, bytes: Data)
  {
    let all = Array(0..<new.stage.model.depth)
    let (before, after) = (old.trainedWeights(keeping: all), new.trainedWeights(keeping: all))
    let rebased = values.indices.map { after[$0] + (values[$0] - before[$0]) }
    let bytes = rebased.withUnsafeBytes { Data($0) }
    var folded = offer
    (folded.key, folded.base, folded.digest) = (key, new.base, Digest(of: bytes))
    (folded.codec, folded.bytes) = (nil, bytes.count)
    return (folded, bytes)
  }
}
