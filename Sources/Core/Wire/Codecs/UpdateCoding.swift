import Engine
import Federation
import Foundation

/// Codes weights against earlier ones, and back: an update against what it was trained from, a layer against its
/// version before. What is decoded is the same on every machine, to the bit.
///
/// Coded bytes are a zlib stream over the numbers of the difference, each kind of number as one plane a byte:
///
/// | codec | before zlib |
/// |---|---|
/// | float32 | update XOR base, bit by bit |
/// | bfloat16 | the upper halves of update - base, rounded to the nearest |
/// | int8, int4 | a float32 scale for each row; then levels, of int4 two a byte, the lower half first |
/// | top-k | for each kept value the number of values that were left out before it (32 bits); then the values as bfloat16 |
///
/// plain is the update's own float32, without zlib.
package struct UpdateCoding: Sendable {
  package let codec: UpdateCodec
  /// Lengths of the rows, one after the other.
  let rows: [Int]
  let count: Int
  /// Values that top-k keeps.
  let kept: Int

  /// For matrices of the shapes `entries`, in their order; `share` of the values is kept by top-k.
  package init(_ codec: UpdateCodec, _ entries: [(rows: Int, columns: Int)], share: Double) {
    self.codec = codec
    rows = entries.flatMap { Array(repeating: $0.columns, count: $0.rows) }
    count = entries.reduce(0) { $0 + $1.rows * $1.columns }
    kept = min(max(Int((share * Double(count)).rounded(.up)), 1), count)
  }

  /// For a part of a model, of which nothing is left out.
  package init(_ codec: UpdateCodec, _ part: Model.Part, of model: Model) {
    let entries = model.layout.entries.filter { part.range.contains($0.slot.offset) }
    self.init(codec, entries.map(Self.rows), share: 1)
  }

  /// For what a stage trains.
  package init(_ codec: UpdateCodec, _ stage: Stage, share: Double) {
    self.init(codec, stage.entries.map(Self.rows), share: share)
  }

  /// A parameter as rows: [first dimension, product of the others]; a vector is one row.
  private static func rows(_ entry: Layout.Entry) -> (rows: Int, columns: Int) {
    guard entry.shape.count > 1, let first = entry.shape.first, first > 0 else {
      return (1, entry.slot.count)
    }
    return (first, entry.slot.count / first)
  }

  /// What every client of this software can code beside plain.
  package static let all = UpdateCodec.allCases.filter { $0 != .plain }

  /// What cannot be decoded, and why.
  package struct Failure: Error, Sendable, CustomStringConvertible {
    package let description: String
  }

  /// Bytes before zlib, which makes them a few percent to a third less.
  package var rawBytes: Int {
    switch codec {
    case .plain, .float32: 4 * count
    case .bfloat16: 2 * count
    case .int8: 4 * rows.count + count
    case .int4: 4 * rows.count + (count + 1) / 2
    case .topK: 6 * kept
    }
  }

  /// The most bytes that coded ones can have: zlib adds little to what it cannot compress.
  package var mostBytes: Int { codec == .plain ? rawBytes : rawBytes + rawBytes / 1000 + 64 }

  /// Codes an update [count] against its base [count], which plain does without; the seed decides how values are rounded.
  package func encode(_ update: [Float], base: [Float], seed: UInt64) -> Data {
    guard codec != .plain else { return update.withUnsafeBytes { Data($0) } }
    return compress(numbers(update, base: base, seed: seed))
  }

  /// What is compressed: the numbers of the difference, by planes.              update [count], base [count]
  package func numbers(_ update: [Float], base: [Float], seed: UInt64) -> [UInt8] {
    precondition(update.count == count && base.count == count, "\(update.count) of \(count) values")
    switch codec {
    case .plain, .float32:
      let bits = zip(update, base).map { $0.bitPattern ^ $1.bitPattern }
      return bits.withUnsafeBytes { Compression.shuffle($0, width: 4) }
    case .bfloat16: return Self.halves(difference(update, base))
    case .int8, .int4: return levels(difference(update, base), seed: UInt32(truncatingIfNeeded: seed))
    case .topK: return largest(difference(update, base))
    }
  }

  /// The update [count] that a client has coded. Throws ``Failure`` for bytes that are none, and never
  /// allocates more than the update needs.
  package func decode(_ bytes: Data, base: [Float]) throws(Failure) -> [Float] {
    precondition(base.count == count || codec == .plain, "\(base.count) of \(count) values")
    if codec == .plain {
      guard bytes.count == 4 * count else { throw Failure(description: "\(bytes.count) bytes") }
      return [Float](unsafeUninitializedCapacity: count) { to, initialised in
        bytes.copyBytes(to: UnsafeMutableRawBufferPointer(to))
        initialised = count
      }
    }
    guard bytes.count <= mostBytes, let raw = Compression.inflate(bytes, count: rawBytes) else {
      throw Failure(description: "\(bytes.count) bytes do not unpack to the \(rawBytes) of \(codec.rawValue)")
    }
    return try update(of: raw, base: base)
  }

  /// The update [count] of what was compressed. Throws ``Failure`` where that is none.
  package func update(of raw: [UInt8], base: [Float]) throws(Failure) -> [Float] {
    precondition(raw.count == rawBytes && base.count == count, "\(raw.count) bytes of \(rawBytes)")
    if codec == .float32 {
      let bits = Self.numbers(raw[...], as: UInt32.self)
      return zip(bits, base).map { Float(bitPattern: $0 ^ $1.bitPattern) }
    }
    var values = try difference(raw)
    for index in values.indices { values[index] += base[index] }
    return values
  }

  private func difference(_ raw: [UInt8]) throws(Failure) -> [Float] {
    switch codec {
    case .plain, .float32, .bfloat16: Self.floats(raw[...])
    case .int8, .int4: values(raw)
    case .topK: try spread(raw)
    }
  }

  private func difference(_ update: [Float], _ base: [Float]) -> [Float] {
    [Float](unsafeUninitializedCapacity: count) { to, initialised in
      for index in 0..<count { to[index] = update[index] - base[index] }
      initialised = count
    }
  }

  /// What is left of a difference after zlib's fastest pass; a thorough one saves hardly more of such numbers.
  private func compress(_ raw: [UInt8]) -> Data { Compression.deflate(raw, level: 1) }
}

extension Plan {
  /// How the updates of a stage are coded with a codec, where a client's model has the blocks `kept`.
  package func coding(_ codec: UpdateCodec, _ stage: Int, keeping kept: [Int]) -> UpdateCoding {
    UpdateCoding(codec, self.stage(stage, keeping: kept), share: Double(traffic.kept))
  }
}
