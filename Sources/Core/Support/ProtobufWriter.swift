import Foundation

/// Writes the protobuf wire format to the extent that ONNX and TensorBoard need it: variable-length integers, numbers of
/// 32 and 64 bits, and length-delimited values (protobuf.dev, Encoding).
package struct ProtobufWriter {
  package private(set) var bytes = Data()

  package init() {}

  /// The encoding of a field's value.
  private enum WireType: UInt64 {
    case varint = 0
    case fixed64 = 1
    case length = 2
    case fixed32 = 5
  }

  private mutating func tag(_ field: Int, _ type: WireType) {
    precondition(field > 0, "field \(field)")
    varint(UInt64(field) << 3 | type.rawValue)
  }

  /// Writes seven bits per byte, the lowest first; the eighth bit indicates that more follow.
  private mutating func varint(_ value: UInt64) {
    var rest = value
    while rest > 0x7F {
      bytes.append(UInt8(rest & 0x7F) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  /// Writes an int32, int64 or enum; a negative one takes ten bytes.
  package mutating func write(_ field: Int, _ value: Int) {
    tag(field, .varint)
    varint(UInt64(bitPattern: Int64(value)))
  }

  /// Writes a float.
  package mutating func write(_ field: Int, _ value: Float) {
    tag(field, .fixed32)
    withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
  }

  /// Writes a double.
  package mutating func write(_ field: Int, _ value: Double) {
    tag(field, .fixed64)
    withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
  }

  /// Writes a string.
  package mutating func write(_ field: Int, _ text: String) { write(field, Data(text.utf8)) }

  /// Writes bytes.
  package mutating func write(_ field: Int, _ data: Data) {
    tag(field, .length)
    varint(UInt64(data.count))
    bytes.append(data)
  }

  /// Writes a nested message.
  package mutating func write(_ field: Int, message body: (inout ProtobufWriter) -> Void) {
    var inner = ProtobufWriter()
    body(&inner)
    write(field, inner.bytes)
  }
}
