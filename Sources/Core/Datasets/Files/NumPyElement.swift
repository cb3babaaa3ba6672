/// How NumPy stores an element of an array, such as `|u1`, `<f4` or `>i8` (numpy.lib.format, dtype.str).
struct NumPyElement {
  enum Kind: Character {
    case unsigned = "u"
    case signed = "i"
    case float = "f"
    case truth = "b"
  }

  let kind: Kind
  /// Bytes: 1, 2, 4 or 8.
  let width: Int
  private let isBig: Bool

  /// Nil for whatever else there is: records, texts, complex numbers.
  init?(_ type: String) {
    let plain = type.drop { "<>=|".contains($0) }
    guard let kind = plain.first.flatMap(Kind.init), let width = Int(plain.dropFirst()),
      (kind == .float ? [2, 4, 8] : [1, 2, 4, 8]).contains(width)
    else { return nil }
    (self.kind, self.width, isBig) = (kind, width, type.hasPrefix(">"))
  }

  /// Whether elements are bytes of images as they are.
  var isByte: Bool { kind == .unsigned && width == 1 }

  /// The whole number, or the truth value, that begins at an index.
  func integer(_ bytes: [UInt8], at index: Int) -> Int {
    let value = pattern(bytes, at: index)
    let unused = UInt64(64 - 8 * width)
    return kind == .signed ? Int(Int64(bitPattern: value << unused) >> Int64(unused)) : Int(clamping: value)
  }

  /// The byte of an image that an element stands for: of whole numbers 0 … 255 as they are, of floats 0 … 1 in steps of
  /// 1/255. Nil for any other number.
  func byte(_ bytes: [UInt8], at index: Int) -> UInt8? {
    switch kind {
    case .unsigned, .signed: UInt8(exactly: integer(bytes, at: index))
    case .float:
      switch real(bytes, at: index) {
      case let value where value >= 0 && value <= 1: UInt8((value * 255).rounded())
      default: nil
      }
    case .truth: nil
    }
  }

  /// An element in words.
  func shown(_ bytes: [UInt8], at index: Int) -> String {
    kind == .float ? "\(real(bytes, at: index))" : "\(integer(bytes, at: index))"
  }

  private func real(_ bytes: [UInt8], at index: Int) -> Double {
    let value = pattern(bytes, at: index)
    return switch width {
    case 2: Double(Float16(bitPattern: UInt16(truncatingIfNeeded: value)))
    case 4: Double(Float(bitPattern: UInt32(truncatingIfNeeded: value)))
    default: Double(bitPattern: value)
    }
  }

  private func pattern(_ bytes: [UInt8], at index: Int) -> UInt64 {
    var value: UInt64 = 0
    for place in 0..<width {
      value |= UInt64(bytes[index + (isBig ? width - 1 - place : place)]) << (8 * UInt64(place))
    }
    return value
  }
}
