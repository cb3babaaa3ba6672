import Foundation

/// Writes the wire format of protocol buffers, as far as ONNX needs it: variable-length integers, 32-bit
/// numbers, and what has a length in front (protobuf.dev, Encoding).
package struct ProtobufWriter {
  package private(set) var bytes = Data()

  package init() {}

  /// How a field's value stands in the bytes.
  private enum WireType: UInt64 {
    case varint = 0
    case length = 2
    case fixed32 = 5
  }

  private mutating func tag(_ field: Int, _ type: WireType) {
    precondition(field > 0, "field \(field)")
    varint(UInt64(field) << 3 | type.rawValue)
  }

  /// Seven bits a byte, the lowest first; the eighth says that more follow.
  private mutating func varint(_ value: UInt64) {
    var rest = value
    while rest > 0x7F {
      bytes.append(UInt8(rest & 0x7F) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  /// An int32, int64 or enum; a negative one takes ten bytes.
  package mutating func write(_ field: Int, _ value: Int) {
    tag(field, .varint)
    varint(UInt64(bitPattern: Int64(value)))
  }

  /// A float.
  package mutating func write(_ field: Int, _ value: Float) {
    tag(field, .fixed32)
    withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
  }

  /// A string.
  package mutating func write(_ field: Int, _ text: String) { write(field, Data(text.utf8)) }

  /// Bytes.
  package mutating func write(_ field: Int, _ data: Data) {
    tag(field, .length)
    varint(UInt64(data.count))
    bytes.append(data)
  }

  /// A message inside this one.
  package mutating func write(_ field: Int, message body: (inout ProtobufWriter) -> Void) {
    var inner = ProtobufWriter()
    body(&inner)
    write(field, inner.bytes)
  }
}
