import Foundation

/// The file around a graph: ModelProto of onnx.proto.
struct ONNXModel {
  let graph: ONNXGraph
  let name: String
  let producer: String
  let producerVersion: String
  /// Texts by name.
  let metadata: [String: String]

  /// The version of the file format that came with opset 17 (ONNX 1.12).
  static let irVersion = 8
  static let opset = 17

  /// Field numbers of the messages.
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

  /// The file's bytes.
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
    writer.write(Field.Graph.output) { write(graph.output, to: &$0) }
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
