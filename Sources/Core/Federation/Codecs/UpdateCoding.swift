import Engine
import Foundation

/// Encodes weights relative to earlier ones, and decodes them: an update relative to its base, or a layer relative to
/// its previous version. The decoded values are bit-identical on every machine.
///
/// The encoding is a zlib stream over the numbers of the difference, with one plane per byte of each type of number:
///
/// | codec | before zlib |
/// |---|---|
/// | float32 | update XOR base, bit by bit |
/// | bfloat16 | the upper halves of update - base, rounded to the nearest |
/// | int8, int4 | a float32 scale for each row; then levels; int4 has two per byte, the lower half first |
/// | top-k | for each kept value the number of values omitted before it (32 bits); then the values as bfloat16 |
///
/// plain is the update's float32 values without zlib.
package struct UpdateCoding: Sendable {
  package let codec: UpdateCodec
  /// The lengths of the rows in order.
  let rows: [Int]
  let count: Int
  /// The number of values that top-k keeps.
  let kept: Int

  /// Creates a coding for matrices of the shapes `entries` in order; top-k keeps `share` of the values.
  package init(_ codec: UpdateCodec, _ entries: [(rows: Int, columns: Int)], share: Double) {
    self.codec = codec
    rows = entries.flatMap { Array(repeating: $0.columns, count: $0.rows) }
    count = entries.reduce(0) { $0 + $1.rows * $1.columns }
    kept = min(max(Int((share * Double(count)).rounded(.up)), 1), count)
  }

  /// Creates a coding for a part of a model, without omitted values.
  package init(_ codec: UpdateCodec, _ part: Model.Part, of model: Model) {
    let entries = model.layout.entries.filter { part.range.contains($0.slot.offset) }
    self.init(codec, entries.map(Self.rows), share: 1)
  }

  /// Creates a coding for the trained parameters of a stage.
  package init(_ codec: UpdateCodec, _ stage: Stage, share: Double) {
    self.init(codec, stage.entries.map(Self.rows), share: share)
  }

  /// Returns the shape of a parameter as rows: [first dimension, product of the others]; a vector is one row.
  private static func rows(_ entry: Layout.Entry) -> (rows: Int, columns: Int) {
    guard entry.shape.count > 1, let first = entry.shape.first, first > 0 else {
      return (1, entry.slot.count)
    }
    return (first, entry.slot.count / first)
  }

  /// The codecs that every client supports in addition to plain.
  package static let all = UpdateCodec.allCases.filter { $0 != .plain }

  /// The reason why bytes cannot be decoded.
  package struct Failure: Error, Sendable, CustomStringConvertible {
    package let description: String
  }

  /// The number of bytes before zlib, which reduces it by a few percent to a third.
  package var rawBytes: Int {
    switch codec {
    case .plain, .float32: 4 * count
    case .bfloat16: 2 * count
    case .int8: 4 * rows.count + count
    case .int4: 4 * rows.count + (count + 1) / 2
    case .topK: 6 * kept
    }
  }

  /// The maximum number of encoded bytes; zlib adds little to incompressible data.
  package var mostBytes: Int { codec == .plain ? rawBytes : rawBytes + rawBytes / 1000 + 64 }

  /// Encodes an update [count] relative to its base [count], which plain ignores; the seed determines the rounding.
  package func encode(_ update: [Float], base: [Float], seed: UInt64) -> Data {
    guard codec != .plain else { return update.withUnsafeBytes { Data($0) } }
    return compress(numbers(update, base: base, seed: seed))
  }

  /// Returns the data before compression: the numbers of the difference, by planes.  update [count], base [count]
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

  /// Decodes an update [count]. Throws ``Failure`` for invalid bytes, and never allocates more than the update needs.
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
      throw Failure(
        description: "\(bytes.count) bytes do not decompress to the \(rawBytes) of \(codec.rawValue)")
    }
    return try update(of: raw, base: base)
  }

  /// Decodes an update [count] from decompressed data. Throws ``Failure`` for invalid data.
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

  /// Compresses at zlib's fastest level; higher levels save hardly more for such data.
  private func compress(_ raw: [UInt8]) -> Data { Compression.deflate(raw, level: 1) }
}

/// Differences as the upper halves of float32, and top-k, which keeps some of them.
extension UpdateCoding {
  /// Returns the upper half of a value, rounded to the nearest, ties to even.
  private static func half(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    // Rounding up could turn a NaN into a number.
    guard value.isFinite else { return UInt16(truncatingIfNeeded: bits >> 16) | (value.isNaN ? 0x40 : 0) }
    return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
  }

  static func halves(_ values: [Float]) -> [UInt8] {
    values.map(half).withUnsafeBytes { Compression.shuffle($0, width: 2) }
  }

  static func floats(_ planes: ArraySlice<UInt8>) -> [Float] {
    numbers(planes, as: UInt16.self).map { Float(bitPattern: UInt32($0) << 16) }
  }

  /// Restores numbers from planes; this machine and the protocol are little-endian.
  static func numbers<Number: FixedWidthInteger>(
    _ planes: ArraySlice<UInt8>, as type: Number.Type
  ) -> [Number] {
    let width = MemoryLayout<Number>.size
    return [Number](unsafeUninitializedCapacity: planes.count / width) { to, initialised in
      Compression.unshuffle(planes, width: width, into: UnsafeMutableRawBufferPointer(to))
      initialised = planes.count / width
    }
  }

  /// Returns the largest values with their positions; of equal values the first are kept.
  func largest(_ values: [Float]) -> [UInt8] {
    let (least, alike) = leastKept(values)
    var ties = alike
    var (gaps, chosen): ([UInt32], [Float]) = ([], [])
    var last = -1
    for (index, value) in values.enumerated() where value.magnitude.bitPattern >= least {
      if value.magnitude.bitPattern == least {
        guard ties > 0 else { continue }
        ties -= 1
      }
      gaps.append(UInt32(index - last - 1))
      chosen.append(value)
      last = index
    }
    return gaps.withUnsafeBytes { Compression.shuffle($0, width: 4) } + Self.halves(chosen)
  }

  /// Returns the bits of the smallest magnitude that is kept, and how many values of that magnitude are kept. It counts
  /// the upper halves of all values, and then the lower halves of those with the selected upper half.
  private func leastKept(_ values: [Float]) -> (bits: UInt32, alike: Int) {
    var (prefix, mask, rank): (UInt32, UInt32, Int) = (0, 0, kept)
    for shift in [UInt32(16), 0] {
      var counts = [Int](repeating: 0, count: 1 << 16)
      for value in values {
        let bits = value.magnitude.bitPattern
        if bits & mask == prefix { counts[Int(bits >> shift & 0xFFFF)] += 1 }
      }
      var half = counts.count - 1
      while rank > counts[half] { (rank, half) = (rank - counts[half], half - 1) }
      (prefix, mask) = (prefix | UInt32(half) << shift, mask | 0xFFFF << shift)
    }
    return (prefix, rank)
  }

  /// Returns the kept values at their positions, and zeros. Throws ``Failure`` if a position is out of range.
  func spread(_ raw: [UInt8]) throws(Failure) -> [Float] {
    let gaps = Self.numbers(raw[..<(4 * kept)], as: UInt32.self)
    var values = [Float](repeating: 0, count: count)
    var place = -1
    for (gap, value) in zip(gaps, Self.floats(raw[(4 * kept)...])) {
      place += Int(gap) + 1
      guard place < count else { throw Failure(description: "a value at \(place) of \(count)") }
      values[place] = value
    }
    return values
  }
}

/// Differences as quantised levels with one scale per row.
extension UpdateCoding {
  private var bits: Int { codec == .int4 ? 4 : 8 }

  func levels(_ values: [Float], seed: UInt32) -> [UInt8] {
    var scales: [Float] = []
    scales.reserveCapacity(rows.count)
    var levels = [Int8](repeating: 0, count: count)
    values.withUnsafeBufferPointer { from in
      levels.withUnsafeMutableBufferPointer { to in
        guard let from = from.baseAddress, let to = to.baseAddress else { return }
        var first = 0
        for length in rows {
          let scale = Quantisation.scale(from + first, count: length, bits: bits)
          Quantisation.encode(
            from + first, scale: scale, bits: bits, into: to + first, count: length, seed: seed, first: first)
          scales.append(scale)
          first += length
        }
      }
    }
    let head = scales.withUnsafeBytes { Compression.shuffle($0, width: 4) }
    return head + (codec == .int4 ? Self.pairs(levels) : levels.map { UInt8(bitPattern: $0) })
  }

  func values(_ raw: [UInt8]) -> [Float] {
    let scales = Self.numbers(raw[..<(4 * rows.count)], as: UInt32.self).map { Float(bitPattern: $0) }
    let body = raw[(4 * rows.count)...]
    let levels = codec == .int4 ? Self.levels(ofPairs: body, count: count) : body.map { Int8(bitPattern: $0) }
    return [Float](unsafeUninitializedCapacity: count) { to, initialised in
      levels.withUnsafeBufferPointer { from in
        guard let from = from.baseAddress, let to = to.baseAddress else { return }
        var first = 0
        for (length, scale) in zip(rows, scales) {
          Quantisation.decode(from + first, scale: scale, into: to + first, count: length)
          first += length
        }
      }
      initialised = count
    }
  }

  /// Packs two levels of -7 … 7 into each byte.
  private static func pairs(_ levels: [Int8]) -> [UInt8] {
    stride(from: 0, to: levels.count, by: 2).map { index in
      let high = index + 1 < levels.count ? levels[index + 1] : 0
      return UInt8(bitPattern: levels[index]) & 0xF | UInt8(bitPattern: high) << 4
    }
  }

  private static func levels(ofPairs pairs: ArraySlice<UInt8>, count: Int) -> [Int8] {
    [Int8](unsafeUninitializedCapacity: count) { to, initialised in
      for (index, pair) in pairs.enumerated() {
        to[2 * index] = Int8(bitPattern: pair << 4) >> 4
        if 2 * index + 1 < count { to[2 * index + 1] = Int8(bitPattern: pair) >> 4 }
      }
      initialised = count
    }
  }
}
