extension String {
  /// Whether it comes before another where numbers in them count as numbers: device-2 before device-10. The order is
  /// total, and the same everywhere: it knows no language.
  package func precedesNaturally(_ other: String) -> Bool {
    var (left, right) = (self.utf8[...], other.utf8[...])
    while let a = left.first, let b = right.first {
      if Self.isDigit(a), Self.isDigit(b) {
        let (one, two) = (Self.takeNumber(&left), Self.takeNumber(&right))
        // Of two numbers without leading zeros the longer is greater.
        if one.count != two.count { return one.count < two.count }
        if !one.elementsEqual(two) { return one.lexicographicallyPrecedes(two) }
      } else {
        if a != b { return a < b }
        left.removeFirst()
        right.removeFirst()
      }
    }
    if left.isEmpty != right.isEmpty { return left.isEmpty }
    // They differ in leading zeros, or not at all.
    return utf8.lexicographicallyPrecedes(other.utf8)
  }

  private static func isDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
  }

  /// The number that a text begins with, without leading zeros.
  private static func takeNumber(_ text: inout Substring.UTF8View) -> Substring.UTF8View {
    let digits = text.prefix(while: isDigit)
    text = text.dropFirst(digits.count)
    return digits.drop { $0 == UInt8(ascii: "0") }
  }
}
