import Foundation
import Support

/// The safetensors format, restricted to float32 tensors: 8 bytes of header length, a JSON header, the data
/// (github.com/huggingface/safetensors, format description). It is little-endian, like the supported machines. The
/// header may also contain text metadata.
package struct Safetensors: Sendable {
  package struct Tensor: Sendable, Hashable {
    package let shape: [Int]
    package let values: [Float]

    package init(shape: [Int], values: [Float]) {
      precondition(shape.reduce(1, *) == values.count, "\(values.count) values of shape \(shape)")
      (self.shape, self.values) = (shape, values)
    }
  }

  /// A fault of a file, in one line.
  package struct FormatError: Error, CustomStringConvertible {
    package let description: String
  }

  package private(set) var names: [String] = []
  package private(set) var tensors: [String: Tensor] = [:]
  /// Metadata by key.
  package var metadata: [String: String] = [:]

  /// The maximum length of a header in bytes, as in the format's reference library.
  private static let longestHeader = 100_000_000

  /// The header's key of the metadata.
  private static let metadataKey = "__metadata__"

  package init() {}

  /// Adds a tensor; tensors are stored in the order of addition.
  package mutating func add(_ name: String, _ tensor: Tensor) {
    precondition(name != Self.metadataKey, "a tensor named \(name)")
    precondition(tensors.updateValue(tensor, forKey: name) == nil, "\(name) twice")
    names.append(name)
  }

  /// An entry of the header.
  private enum Entry: Encodable {
    case tensor(shape: [Int], offsets: [Int])
    case texts([String: String])

    enum CodingKeys: String, CodingKey {
      case dtype, shape
      case dataOffsets = "data_offsets"
    }

    func encode(to encoder: any Swift.Encoder) throws {
      switch self {
      case .tensor(let shape, let offsets):
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode("F32", forKey: .dtype)
        try container.encode(shape, forKey: .shape)
        try container.encode(offsets, forKey: .dataOffsets)
      case .texts(let texts): try texts.encode(to: encoder)
      }
    }
  }

  /// Parses a file, and reads the tensors whose names are wanted. Throws ``FormatError`` if the data is not a valid
  /// file of float32 tensors.
  package init(parsing data: Data, where isWanted: (String) -> Bool = { _ in true }) throws {
    guard data.count >= 8 else {
      throw FormatError(description: "it is not a safetensors file: \(data.count) bytes")
    }
    let data = Data(data)
    let length = data.prefix(8).enumerated().reduce(UInt64(0)) { $0 | UInt64($1.element) << (8 * $1.offset) }
    guard length <= UInt64(data.count - 8) else {
      // An implausible header length indicates text or another format.
      throw FormatError(
        description: length > Self.longestHeader
          ? "it is not a safetensors file"
          : "it is cut off: a header of \(length) bytes in a file of \(data.count)")
    }
    let body = 8 + Int(length)
    let size = data.count - body
    var ranges: [(name: String, bytes: Range<Int>)] = []
    guard let object = try? JSONSerialization.jsonObject(with: data[8..<body]) as? [String: Any] else {
      throw FormatError(description: "the header is not a JSON object")
    }
    if let texts = object[Self.metadataKey] {
      guard let texts = texts as? [String: String] else {
        throw FormatError(description: "the metadata are not strings")
      }
      metadata = texts
    }
    for name in object.keys.sorted() where name != Self.metadataKey {
      guard let header = object[name] as? [String: Any], let dtype = header["dtype"] as? String,
        let shape = header["shape"] as? [Int], let offsets = header["data_offsets"] as? [Int],
        offsets.count == 2, shape.allSatisfy({ $0 >= 0 && $0 < 1 << 32 })
      else { throw FormatError(description: "\(name): its entry has no dtype, shape and offsets") }
      guard offsets[1] <= size else {
        throw FormatError(
          description: "it is cut off: \(name) ends at byte \(offsets[1]) of its data, which has \(size)")
      }
      guard offsets[0] >= 0, offsets[0] <= offsets[1] else {
        throw FormatError(description: "\(name): offsets \(offsets)")
      }
      ranges.append((name, offsets[0]..<offsets[1]))
      guard isWanted(name) else { continue }
      guard dtype == "F32" else { throw FormatError(description: "\(name): \(dtype) instead of F32") }
      guard let count = Self.count(shape), offsets[1] - offsets[0] == 4 * count
      else { throw FormatError(description: "\(name): offsets \(offsets) for shape \(shape)") }
      let values = [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
        data.withUnsafeBytes {
          UnsafeMutableRawBufferPointer(buffer).copyMemory(
            from: UnsafeRawBufferPointer(rebasing: $0[body + offsets[0]..<body + offsets[1]]))
        }
        initialized = count
      }
      add(name, Tensor(shape: shape, values: values))
    }
    try Self.check(ranges, fill: size)
  }

  /// Checks that every byte of the data belongs to exactly one tensor, as the format requires. Gaps and overlaps
  /// indicate a file from another source or a write error.
  private static func check(_ ranges: [(name: String, bytes: Range<Int>)], fill size: Int) throws {
    var (end, last) = (0, "")
    for (name, bytes) in ranges.sorted(by: {
      ($0.bytes.lowerBound, $0.bytes.upperBound) < ($1.bytes.lowerBound, $1.bytes.upperBound)
    }) {
      guard bytes.lowerBound >= end else {
        throw FormatError(description: "\(name): its bytes also belong to \(last)")
      }
      guard bytes.lowerBound == end else {
        throw FormatError(description: "bytes \(end) to \(bytes.lowerBound) of its data belong to no tensor")
      }
      (end, last) = (bytes.upperBound, name)
    }
    guard end == size else {
      throw FormatError(description: "bytes \(end) to \(size) of its data belong to no tensor")
    }
  }

  /// Returns the number of elements of a shape, or nil if it exceeds memory.
  private static func count(_ shape: [Int]) -> Int? {
    var count = 1
    for side in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: side)
      guard !overflow, product < 1 << 40 else { return nil }
      count = product
    }
    return count
  }

  /// Returns the bytes of the file, with tensors in the order of addition.
  package func encoded() throws -> Data {
    var entries: [String: Entry] = metadata.isEmpty ? [:] : [Self.metadataKey: .texts(metadata)]
    var offset = 0
    for name in names {
      guard let tensor = tensors[name] else { continue }
      let end = offset + 4 * tensor.values.count
      entries[name] = .tensor(shape: tensor.shape, offsets: [offset, end])
      offset = end
    }
    var header = try JSON.stored(entries)
    // The format requires data to start at a multiple of 8 bytes.
    header.append(contentsOf: repeatElement(UInt8(ascii: " "), count: (8 - header.count % 8) % 8))
    var data = Data(capacity: 8 + header.count + offset)
    withUnsafeBytes(of: UInt64(header.count).littleEndian) { data.append(contentsOf: $0) }
    data.append(header)
    for name in names { tensors[name]?.values.withUnsafeBytes { data.append(contentsOf: $0) } }
    return data
  }
}
