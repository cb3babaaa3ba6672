import Foundation

/// Parses a message of protocol buffers without a schema.
struct ProtobufReader {
  enum Value {
    case integer(Int)
    case bytes(Data)
    case float(Float)
  }

  struct Malformed: Error {}

  private(set) var fields: [(number: Int, value: Value)] = []

  init(_ data: Data) throws {
    var rest = Data(data)[...]
    while !rest.isEmpty {
      let tag = try Self.varint(&rest)
      let number = Int(tag >> 3)
      switch tag & 7 {
      case 0: fields.append((number, .integer(Int(truncatingIfNeeded: try Self.varint(&rest)))))
      case 2: fields.append((number, .bytes(try Self.take(Int(try Self.varint(&rest)), &rest))))
      case 5:
        let bits = try Self.take(4, &rest).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        fields.append((number, .float(Float(bitPattern: bits))))
      default: throw Malformed()
      }
    }
  }

  private static func varint(_ rest: inout Data) throws -> UInt64 {
    var (value, shift): (UInt64, UInt64) = (0, 0)
    while let byte = rest.popFirst() {
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    throw Malformed()
  }

  private static func take(_ count: Int, _ rest: inout Data) throws -> Data {
    guard count <= rest.count else { throw Malformed() }
    defer { rest = rest.dropFirst(count) }
    return Data(rest.prefix(count))
  }

  func integers(_ number: Int) -> [Int] {
    fields.compactMap { if $0.number == number, case .integer(let value) = $0.value { value } else { nil } }
  }

  func bytes(_ number: Int) -> [Data] {
    fields.compactMap { if $0.number == number, case .bytes(let value) = $0.value { value } else { nil } }
  }

  func texts(_ number: Int) -> [String] { bytes(number).map { String(decoding: $0, as: UTF8.self) } }

  func floats(_ number: Int) -> [Float] {
    fields.compactMap { if $0.number == number, case .float(let value) = $0.value { value } else { nil } }
  }

  func messages(_ number: Int) throws -> [ProtobufReader] { try bytes(number).map { try ProtobufReader($0) } }
}
