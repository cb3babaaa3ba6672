extension Duration {
  /// The duration in seconds.
  package var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}

/// An amount of memory, written with its unit: `256MB`, `1GB`, `512MiB`.
package struct ByteCount: Sendable, Hashable, Codable, CustomStringConvertible {
  /// The number of bytes, above 0.
  package let bytes: Int

  /// The bytes of each unit, binary and then decimal, each from the largest to the smallest.
  private static let units = [
    ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("GB", 1_000_000_000), ("MB", 1_000_000),
    ("KB", 1000), ("B", 1),
  ]

  package init(bytes: Int) {
    precondition(bytes > 0, "\(bytes) bytes of memory")
    self.bytes = bytes
  }

  /// Parses a whole number and its unit; nil for other text.
  package init?(_ text: String) {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    guard let count = Int(digits), count > 0,
      let unit = Self.units.first(where: { $0.0 == text.dropFirst(digits.count) })
    else { return nil }
    let (bytes, overflow) = count.multipliedReportingOverflow(by: unit.1)
    guard !overflow else { return nil }
    self.init(bytes: bytes)
  }

  /// The amount in the largest unit that divides it.
  package var description: String {
    guard let unit = Self.units.first(where: { bytes % $0.1 == 0 }) else { return "\(bytes)B" }
    return "\(bytes / unit.1)\(unit.0)"
  }

  package init(from decoder: any Decoder) throws {
    let value = try decoder.singleValueContainer()
    let text = try value.decode(String.self)
    guard let count = ByteCount(text) else {
      throw DecodingError.dataCorruptedError(in: value, debugDescription: "not an amount of memory: \(text)")
    }
    self = count
  }

  package func encode(to encoder: any Encoder) throws {
    var value = encoder.singleValueContainer()
    try value.encode(description)
  }
}
