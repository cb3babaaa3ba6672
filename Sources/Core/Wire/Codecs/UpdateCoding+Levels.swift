import Engine
import Foundation

/// Numbers of the difference as levels, with one scale a row.
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

  /// Two levels of -7 … 7 a byte.
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
