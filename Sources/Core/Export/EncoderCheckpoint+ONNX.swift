import Engine
import Federation
import Foundation

extension EncoderCheckpoint {
  /// The encoder as an ONNX file of opset 17: `image` [n, C, H, W], normalised as the metadata say, to
  /// `representation` [n, D], for any n. Weights keep their names.
  ///
  /// Throws ``ExportError`` where the file would be larger than such files can be.
  package func onnx() throws -> Data {
    let bytes = layout.count * MemoryLayout<Float>.stride
    guard bytes <= Self.mostBytes else { throw ExportError.tooLarge(bytes: bytes) }
    let model = ONNXModel(
      graph: EncoderGraph(self).graph, name: origin?.plan ?? "encoder", producer: "strata",
      producerVersion: Software.version, metadata: try metadata())
    return model.encoded()
  }

  /// A message of protocol buffers has less than 2 GiB; graph and names take some of them.
  private static let mostBytes = (1 << 31) - (1 << 24)
}

/// Why an encoder cannot be written.
package enum ExportError: Error, Sendable, Hashable, CustomStringConvertible {
  /// Its weights are more than one ONNX file holds.
  case tooLarge(bytes: Int)

  package var description: String {
    switch self {
    case .tooLarge(let bytes):
      "its weights are \(bytes) bytes, and an ONNX file holds less than 2 GiB; safetensors has no such limit"
    }
  }
}
