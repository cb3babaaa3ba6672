import Foundation
import Support

/// An ONNX file: ModelProto of onnx.proto.
struct ONNXModel {
  let graph: ONNXGraph
  let name: String
  let producer: String
  let producerVersion: String
  /// Metadata by key.
  let metadata: [String: String]

  /// The version of the file format introduced with opset 17 (ONNX 1.12).
  static let irVersion = 8
  static let opset = 17

  /// The field numbers of the messages.
  private enum Field {
    enum Model {
      static let (irVersion, producer, producerVersion, graph) = (1, 2, 3, 7)
      static let (opset, metadata) = (8, 14)
    }
    enum Graph {
      static let (node, name, initializer, input, output) = (1, 2, 5, 11, 12)
    }
    enum Opset {
      static let (domain, version) = (1, 2)
    }
    enum Text {
      static let (key, value) = (1, 2)
    }
    enum Value {
      static let (name, type, tensor, element, shape, dimension) = (1, 2, 1, 1, 2, 1)
      static let (size, symbol) = (1, 2)
    }
  }

  /// Returns the bytes of the file.
  func encoded() -> Data {
    var writer = ProtobufWriter()
    writer.write(Field.Model.irVersion, Self.irVersion)
    writer.write(Field.Model.producer, producer)
    writer.write(Field.Model.producerVersion, producerVersion)
    writer.write(Field.Model.graph) { write(graph, to: &$0) }
    writer.write(Field.Model.opset) {
      $0.write(Field.Opset.domain, "")
      $0.write(Field.Opset.version, Self.opset)
    }
    for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
      writer.write(Field.Model.metadata) {
        $0.write(Field.Text.key, key)
        $0.write(Field.Text.value, value)
      }
    }
    return writer.bytes
  }

  private func write(_ graph: ONNXGraph, to writer: inout ProtobufWriter) {
    for node in graph.nodes { writer.write(Field.Graph.node) { node.write(to: &$0) } }
    writer.write(Field.Graph.name, name)
    for tensor in graph.tensors { writer.write(Field.Graph.initializer) { tensor.write(to: &$0) } }
    writer.write(Field.Graph.input) { write(graph.input, to: &$0) }
    for output in graph.outputs { writer.write(Field.Graph.output) { write(output, to: &$0) } }
  }

  private func write(_ port: ONNXGraph.Port, to writer: inout ProtobufWriter) {
    writer.write(Field.Value.name, port.name)
    writer.write(Field.Value.type) {
      $0.write(Field.Value.tensor) {
        $0.write(Field.Value.element, ONNXTensor.ElementType.float.rawValue)
        $0.write(Field.Value.shape) { shape in
          shape.write(Field.Value.dimension) { $0.write(Field.Value.symbol, "batch") }
          for side in port.shape {
            shape.write(Field.Value.dimension) { $0.write(Field.Value.size, side) }
          }
        }
      }
    }
  }
}

/// A graph under construction; each operation is added after those that produce its inputs.
struct ONNXGraph {
  private(set) var nodes: [ONNXNode] = []
  private(set) var tensors: [ONNXTensor] = []
  private var known: Set<String> = []
  /// The prefix of the names of the next outputs.
  var scope = ""

  /// An input or output of the graph.
  struct Port {
    let name: String
    /// The shape without the batch axis, whose size is variable.
    let shape: [Int]
  }

  let input: Port
  let outputs: [Port]

  init(input: Port, outputs: [Port]) {
    (self.input, self.outputs) = (input, outputs)
    known = [input.name]
  }

  /// Adds a tensor, to which nodes refer by name.
  mutating func add(_ tensor: ONNXTensor) {
    precondition(known.insert(tensor.name).inserted, "\(tensor.name) twice")
    tensors.append(tensor)
  }

  /// Adds an operation and returns its output's name, which is generated if none is given.
  mutating func add(
    _ operation: ONNXNode.Operator, _ inputs: String..., attributes: [ONNXNode.Attribute] = [],
    named name: String? = nil
  ) -> String {
    for input in inputs { precondition(known.contains(input), "\(input) is not there yet") }
    let output = name ?? "\(scope).\(operation.rawValue).\(nodes.count)"
    precondition(known.insert(output).inserted, "\(output) twice")
    nodes.append(ONNXNode(operation: operation, inputs: inputs, output: output, attributes: attributes))
    return output
  }

  // MARK: - Constants

  /// Returns the name of a float constant, which is added once.
  mutating func constant(_ value: Float) -> String {
    constant("float.\(value)", shape: [], .floats([value]))
  }

  /// Returns the name of an index constant, which is added once.
  mutating func index(_ value: Int) -> String {
    constant("index.\(value)", shape: [], .integers([Int64(value)]))
  }

  /// Returns the name of a shape constant, which is added once; 0 copies the input's side.
  mutating func shape(_ sides: Int...) -> String {
    let name = "shape." + sides.map(String.init).joined(separator: ".")
    return constant(name, shape: [sides.count], .integers(sides.map(Int64.init)))
  }

  private mutating func constant(_ name: String, shape: [Int], _ values: ONNXTensor.Values) -> String {
    if !known.contains(name) { add(ONNXTensor(name: name, shape: shape, values: values)) }
    return name
  }
}

/// An operation of a graph, with the operators of ONNX's default domain in opset 17 (github.com/onnx/onnx,
/// docs/Operators.md).
struct ONNXNode {
  enum Operator: String, CaseIterable {
    case add = "Add"
    case averagePool = "AveragePool"
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

  /// The field numbers of NodeProto.
  private enum Field {
    static let (input, output, name, operation, attribute) = (1, 2, 3, 4, 5)
  }

  /// The node is named after its only output.
  func write(to writer: inout ProtobufWriter) {
    for input in inputs { writer.write(Field.input, input) }
    writer.write(Field.output, output)
    writer.write(Field.name, output)
    writer.write(Field.operation, operation.rawValue)
    for attribute in attributes { writer.write(Field.attribute) { attribute.write(to: &$0) } }
  }
}

extension ONNXNode.Attribute {
  /// The field numbers of AttributeProto.
  private enum Field {
    static let (name, float, integer, integers, type) = (1, 2, 3, 8, 20)
  }

  /// The numbers of AttributeProto.AttributeType.
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

/// A constant of a graph: weights, or numbers and shapes that operators take as inputs.
struct ONNXTensor {
  let name: String
  let shape: [Int]
  let values: Values

  enum Values {
    case floats([Float])
    case integers([Int64])
  }

  /// The field numbers of TensorProto.
  private enum Field {
    static let (dims, dataType, name, rawData) = (1, 2, 8, 9)
  }

  /// The type of a value, numbered as in TensorProto.DataType.
  enum ElementType: Int {
    case float = 1
    case int64 = 7
  }

  /// Values are written as raw little-endian data.
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
