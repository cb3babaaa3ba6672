/// One operation of a graph: operators of ONNX's own domain, in their versions of opset 17
/// (github.com/onnx/onnx, docs/Operators.md).
struct ONNXNode {
  enum Operator: String, CaseIterable {
    case add = "Add"
    case batchNormalization = "BatchNormalization"
    case concat = "Concat"
    case conv = "Conv"
    case div = "Div"
    case erf = "Erf"
    case expand = "Expand"
    case flatten = "Flatten"
    case gather = "Gather"
    case globalAveragePool = "GlobalAveragePool"
    case identity = "Identity"
    case layerNormalization = "LayerNormalization"
    case matMul = "MatMul"
    case mul = "Mul"
    case relu = "Relu"
    case reshape = "Reshape"
    case shape = "Shape"
    case softmax = "Softmax"
    case transpose = "Transpose"
  }

  enum Attribute {
    case integer(String, Int)
    case integers(String, [Int])
    case float(String, Float)
  }

  let operation: Operator
  let inputs: [String]
  let output: String
  let attributes: [Attribute]

  /// Field numbers of NodeProto.
  private enum Field {
    static let (input, output, name, operation, attribute) = (1, 2, 3, 4, 5)
  }

  /// Named after its only output.
  func write(to writer: inout ProtobufWriter) {
    for input in inputs { writer.write(Field.input, input) }
    writer.write(Field.output, output)
    writer.write(Field.name, output)
    writer.write(Field.operation, operation.rawValue)
    for attribute in attributes { writer.write(Field.attribute) { attribute.write(to: &$0) } }
  }
}

extension ONNXNode.Attribute {
  /// Field numbers of AttributeProto.
  private enum Field {
    static let (name, float, integer, integers, type) = (1, 2, 3, 8, 20)
  }

  /// As AttributeProto.AttributeType numbers them.
  private enum Kind {
    static let (float, integer, integers) = (1, 2, 7)
  }

  func write(to writer: inout ProtobufWriter) {
    switch self {
    case .integer(let name, let value):
      writer.write(Field.name, name)
      writer.write(Field.integer, value)
      writer.write(Field.type, Kind.integer)
    case .integers(let name, let values):
      writer.write(Field.name, name)
      for value in values { writer.write(Field.integers, value) }
      writer.write(Field.type, Kind.integers)
    case .float(let name, let value):
      writer.write(Field.name, name)
      writer.write(Field.float, value)
      writer.write(Field.type, Kind.float)
    }
  }
}
