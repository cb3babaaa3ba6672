import Foundation
import Support

/// An array in NumPy's format (numpy.lib.format, versions 1 to 3): its header, and a reader at its first element.
package struct NumPyArray {
  /// The type of the elements: `|u1`, `<i8` …
  let type: String
  let shape: [Int]
  /// Whether the first index changes fastest, as in Fortran.
  let isByColumns: Bool
  let reader: ByteReader

  /// The maximum length of the header of a plain array.
  private static let largestHeader = 1 << 16

  /// Reads the header. Throws a ``DatasetError`` if it is malformed, or declares more data than the file can contain.
  init(_ reader: ByteReader) throws(DatasetError) {
    self.reader = reader
    func damage(_ problem: String) -> DatasetError { .malformed(path: reader.path, problem: problem) }
    let magic = try reader.read(8)
    guard magic.starts(with: [0x93] + Array("NUMPY".utf8)), (1...3).contains(magic[6]) else {
      throw damage("is not a NumPy array (.npy)")
    }
    let lengthBytes = magic[6] == 1 ? 2 : 4
    let length = LittleEndian(try reader.read(lengthBytes)).number(0, lengthBytes) ?? 0
    guard length <= Self.largestHeader else { throw damage("its header of \(length) bytes is too long") }
    let header = String(decoding: try reader.read(length), as: UTF8.self)
    guard let type = Self.text("descr", in: header), let shape = Self.shape(in: header) else {
      throw damage("its header is invalid: \(Spelling.shortened(header))")
    }
    isByColumns = Self.value("fortran_order", in: header)?.hasPrefix("True") == true
    (self.type, self.shape) = (type, shape)
    try reader.require(count.flatMap { Self.product([$0, width]) }, for: "\(shape) elements of \(type)")
  }

  /// The number of elements; nil if it overflows.
  var count: Int? { Self.product(shape) }

  /// The bytes per element.
  private var width: Int { Int(type.drop { !$0.isNumber }) ?? 1 }

  /// The type of the elements; nil if they are not plain numbers.
  var element: NumPyElement? { NumPyElement(type) }

  /// Reads all elements of an array of whole numbers or truth values.
  func integers() throws(DatasetError) -> [Int] {
    guard let element, element.kind != .float, let count else {
      throw .malformed(path: reader.path, problem: "holds \(type), where labels are whole numbers")
    }
    let bytes = try reader.read(count * element.width)
    return (0..<count).map { element.integer(bytes, at: $0 * element.width) }
  }

  /// Returns the beginning of a file of little-endian float32 numbers, which follow it in the order of the rows.
  package static func header(floats shape: [Int]) -> Data {
    let sides = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
    let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(sides)), }"
    // Version 1: eight bytes, the length in two, and a text that ends at a multiple of 64 bytes.
    let length = (10 + text.utf8.count + 1 + 63) / 64 * 64 - 10
    let padding = String(repeating: " ", count: length - text.utf8.count - 1)
    var data = Data([0x93]) + Data("NUMPY".utf8) + Data([1, 0])
    withUnsafeBytes(of: UInt16(length).littleEndian) { data.append(contentsOf: $0) }
    return data + Data((text + padding + "\n").utf8)
  }

  // MARK: - Header, the text of a Python dictionary

  private static func value(_ key: String, in header: String) -> Substring? {
    for quote in ["'", "\""] {
      guard let range = header.range(of: quote + key + quote) else { continue }
      let rest = header[range.upperBound...].drop { $0 == " " }
      guard rest.first == ":" else { continue }
      return rest.dropFirst().drop { $0 == " " }
    }
    return nil
  }

  private static func text(_ key: String, in header: String) -> String? {
    guard let value = value(key, in: header), let quote = value.first, quote == "'" || quote == "\"" else {
      return nil
    }
    return String(value.dropFirst().prefix { $0 != quote })
  }

  private static func shape(in header: String) -> [Int]? {
    guard let value = value("shape", in: header), value.first == "(", let end = value.firstIndex(of: ")")
    else {
      return nil
    }
    let inner = value[value.index(after: value.startIndex)..<end]
    // Python 2 wrote 64-bit whole numbers with the suffix L.
    let sides = inner.split(separator: ",").map { side in
      let digits = side.filter { $0 != " " }
      return Int(digits.hasSuffix("L") ? digits.dropLast() : digits[...])
    }
    guard sides.allSatisfy({ $0.map { $0 >= 0 } ?? false }) else { return nil }
    return sides.compactMap { $0 }
  }

  private static func product(_ factors: [Int]) -> Int? {
    factors.reduce(1) { product, factor in
      guard let product else { return nil }
      let (result, overflow) = product.multipliedReportingOverflow(by: factor)
      return overflow ? nil : result
    }
  }
}

/// The type of an element of an array, such as `|u1`, `<f4` or `>i8` (numpy.lib.format, dtype.str).
struct NumPyElement {
  enum Kind: Character {
    case unsigned = "u"
    case signed = "i"
    case float = "f"
    case truth = "b"
  }

  let kind: Kind
  /// The size in bytes: 1, 2, 4 or 8.
  let width: Int
  private let isBig: Bool

  /// Parses a type; nil for other types: records, texts, complex numbers.
  init?(_ type: String) {
    let plain = type.drop { "<>=|".contains($0) }
    guard let kind = plain.first.flatMap(Kind.init), let width = Int(plain.dropFirst()),
      (kind == .float ? [2, 4, 8] : [1, 2, 4, 8]).contains(width)
    else { return nil }
    (self.kind, self.width, isBig) = (kind, width, type.hasPrefix(">"))
  }

  /// Whether elements are bytes that can be used as pixels directly.
  var isByte: Bool { kind == .unsigned && width == 1 }

  /// Returns the whole number or truth value that starts at an index.
  func integer(_ bytes: [UInt8], at index: Int) -> Int {
    let value = pattern(bytes, at: index)
    let unused = UInt64(64 - 8 * width)
    return kind == .signed ? Int(Int64(bitPattern: value << unused) >> Int64(unused)) : Int(clamping: value)
  }

  /// Returns an element as a pixel: whole numbers 0 … 255 directly, floats 0 … 1 in steps of 1/255. Nil for other
  /// numbers.
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

  /// Returns an element as a whole number; nil for other numbers.
  func whole(_ bytes: [UInt8], at index: Int) -> Int? {
    kind == .float ? Int(exactly: real(bytes, at: index)) : integer(bytes, at: index)
  }

  /// Returns an element as float32.
  func float(_ bytes: [UInt8], at index: Int) -> Float {
    kind == .float ? Float(real(bytes, at: index)) : Float(integer(bytes, at: index))
  }

  /// Whether an element is NaN, which stands for a missing value.
  func isMissing(_ bytes: [UInt8], at index: Int) -> Bool { kind == .float && real(bytes, at: index).isNaN }

  /// Returns an element as text.
  func shown(_ bytes: [UInt8], at index: Int) -> String {
    kind == .float ? "\(real(bytes, at: index))" : "\(integer(bytes, at: index))"
  }

  /// Returns an element as float64.
  func double(_ bytes: [UInt8], at index: Int) -> Double {
    kind == .float ? real(bytes, at: index) : Double(integer(bytes, at: index))
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
