import Engine
import Federation
import Foundation
import Wire

/// What the bytes of an offered update must be. It is looked at outside the job engine, by as many threads as there
/// are.
package struct UpdateCheck: Sendable {
  let offer: UpdateOffer
  let coding: UpdateCoding
  /// The model that was trained from.
  let snapshot: Snapshot
  /// Blocks of it that the client has.
  let kept: [Int]
  let normLimit: Double

  init(_ plan: Plan, _ offer: UpdateOffer, from client: String, base snapshot: Snapshot) {
    (self.offer, self.snapshot) = (offer, snapshot)
    kept = plan.keptBlocks(offer.key, client: client)
    coding = plan.coding(offer.codec ?? .plain, offer.key.stage, keeping: kept)
    normLimit = Double(plan.round.normLimit)
  }

  /// What is wrong with an update that has come; nil where nothing is. Throws ``StoreError`` where it cannot be read.
  package func rejection(in updates: UpdateSpool, from client: String) throws(StoreError) -> Rejection? {
    try rejection(of: updates.arrived(offer, from: client))
  }

  /// - Parameter receipt: of these bytes, where they came all at once.
  func rejection(
    of file: borrowing UpdateFile, _ receipt: UpdateReceipt? = nil
  ) throws(StoreError) -> Rejection? {
    guard file.count == offer.bytes else { return .wrongDigest }
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

  /// What is wrong with weights of which this is the largest magnitude; nil where nothing is.
  private func rejection(ofLargest largest: Float) -> Rejection? {
    guard largest.isFinite else { return .notFinite }
    let before = snapshot.largestMagnitude(of: snapshot.trained(keeping: kept))
    return Divergence.isReached(largest, after: before) ? .diverged : nil
  }

  /// The values behind an update's bytes. Throws what is wrong with them, as far as their digest does not say.
  func values(_ bytes: Data) throws(Rejection) -> [Float] {
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

/// What was learned of an update's bytes while they came, so that they need not be read again.
package struct UpdateReceipt: Sendable, Hashable {
  package let digest: Digest
  /// The largest magnitude of its float32 values, not a number where one is none; nil where the pieces were not of whole
  /// values.
  package let largest: Float?
}

/// An update on its way into a file, as one connection takes it.
package final class UpdateArrival {
  private var file: UpdateFile?
  private var hasher = Hasher256()
  private var (count, largest): (Int, Float?) = (0, 0)

  package init() {}

  /// Another update, or this one again, comes from the beginning or from somewhere in its midst.
  package func begin(in file: consuming UpdateFile) {
    self.file = consume file
    _ = hasher.restart()
    (count, largest) = (0, 0)
  }

  /// Takes a piece, which is in the file then. One that is not the next to those before it is of an update that began
  /// earlier. Throws ``StoreError`` where it cannot be written.
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

  /// Nothing more comes. Returns what is known of the update; nil where some of its bytes came on another connection.
  package func finish(_ offer: UpdateOffer) -> UpdateReceipt? {
    file = nil
    guard count == offer.bytes else { return nil }
    return UpdateReceipt(digest: hasher.restart(), largest: largest)
  }
}

/// A late update as if it had been trained from today's weights: what its client has changed stays changed.
struct LateUpdate {
  /// The model that it was trained from, and the present one, of the same stage.
  let old, new: Snapshot

  /// The bytes and the offer to store for the round `key` in place of those that the client sent.
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
