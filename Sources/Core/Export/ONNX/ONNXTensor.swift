import Foundation

/// A constant of a graph: its weights, or the numbers and shapes that operators take as inputs.
struct ONNXTensor {
  let name: String
  let shape: [Int]
  let values: Values

  enum Values {
    case floats([Float])
    case integers([Int64])
  }

  /// Field numbers of TensorProto.
  private enum Field {
    static let (dims, dataType, name, rawData) = (1, 2, 8, 9)
  }

  /// A value's type, as TensorProto.DataType numbers it.
  enum ElementType: Int {
    case float = 1
    case int64 = 7
  }

  /// Numbers are raw: as they stand in memory, little-endian.
  func write(to writer: inout ProtobufWriter) {
    for side in shape { writer.write(Field.dims, side) }
    writer.write(Field.dataType, type.rawValue)
    writer.write(Field.name, name)
    switch values {
    case .floats(let values): writer.write(Field.rawData, values.withUnsafeBytes { Data($0) })
    case .integers(let values): writer.write(Field.rawData, values.withUnsafeBytes { Data($0) })
    }
  }

  private var type: ElementType {
    switch values {
    case .floats: .float
    case .integers: .int64
    }
  }
}
