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
