import Foundation
import Support

/// An array in NumPy's format (numpy.lib.format, versions 1 to 3): its header, and a reader at its first element.
struct NumPyArray {
  /// How an element is stored: `|u1`, `<i8` …
  let type: String
  let shape: [Int]
  /// Whether the first index changes fastest, as in Fortran, and not the last.
  let isByColumns: Bool
  let reader: ByteReader

  /// No header of a plain array is longer.
  private static let largestHeader = 1 << 16

  /// Reads the header. Throws a ``DatasetError`` where it makes no sense, or promises more than can come.
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
      throw damage("its header cannot be understood: \(Spelling.shortened(header))")
    }
    isByColumns = Self.value("fortran_order", in: header)?.hasPrefix("True") == true
    (self.type, self.shape) = (type, shape)
    try reader.require(count.flatMap { Self.product([$0, width]) }, for: "\(shape) elements of \(type)")
  }

  /// How many elements there are; nil where they are more than can be counted.
  var count: Int? { Self.product(shape) }

  /// Bytes of an element.
  private var width: Int { Int(type.drop { !$0.isNumber }) ?? 1 }

  /// Nil where its elements are no plain numbers.
  var element: NumPyElement? { NumPyElement(type) }

  /// All elements of an array of whole numbers or truth values.
  func integers() throws(DatasetError) -> [Int] {
    guard let element, element.kind != .float, let count else {
      throw .malformed(path: reader.path, problem: "holds \(type), where labels are whole numbers")
    }
    let bytes = try reader.read(count * element.width)
    return (0..<count).map { element.integer(bytes, at: $0 * element.width) }
  }

  // MARK: - The header, the text of a Python dictionary

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
    // Python 2 wrote whole numbers of 64 bits with an L behind them.
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
