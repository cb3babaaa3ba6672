import Foundation

/// Numbers of the difference as the upper halves of float32, and top-k, which keeps some of them.
extension UpdateCoding {
  /// The upper half of a value, rounded to the nearest, to the even one of two.
  private static func half(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    // Rounding up could make a number of what is none.
    guard value.isFinite else { return UInt16(truncatingIfNeeded: bits >> 16) | (value.isNaN ? 0x40 : 0) }
    return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
  }

  static func halves(_ values: [Float]) -> [UInt8] {
    values.map(half).withUnsafeBytes { Compression.shuffle($0, width: 2) }
  }

  static func floats(_ planes: ArraySlice<UInt8>) -> [Float] {
    numbers(planes, as: UInt16.self).map { Float(bitPattern: UInt32($0) << 16) }
  }

  /// Numbers from their planes; this machine and the wire are both little-endian.
  static func numbers<Number: FixedWidthInteger>(
    _ planes: ArraySlice<UInt8>, as type: Number.Type
  ) -> [Number] {
    let width = MemoryLayout<Number>.size
    return [Number](unsafeUninitializedCapacity: planes.count / width) { to, initialised in
      Compression.unshuffle(planes, width: width, into: UnsafeMutableRawBufferPointer(to))
      initialised = planes.count / width
    }
  }

  /// The largest values in their places; of two alike the first.
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

  /// The bits of the smallest magnitude that is kept, and how many of those that are as small: found by counting the upper
  /// halves of all bits, and then the lower ones of those that share the upper half.
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

  /// The kept values in their places, and zeros. Throws ``Failure`` where there is no such place.
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
