import Engine
import Foundation

/// A file of weights that a plan's encoder starts from: the parts of the finished encoder that it holds.
///
/// A part (stem, block, final normalisation) is taken whole. Where the file has none of it, it starts as it would
/// without the file; so do heads, and the temporary layer of a ResNet, in any case.
package struct InitialWeights: Sendable {
  /// Of the file's bytes.
  package let digest: Digest
  /// Names of the parts that are there, as ``Model/Part`` has them.
  package let parts: Set<String>
  /// By name, in the shapes of the encoder.
  private let tensors: [String: Safetensors.Tensor]

  /// Reads a safetensors file's bytes for an encoder. Throws ``CheckpointError`` where a tensor has another shape
  /// than the encoder's, a part is there but not whole, something would be left out that the file's own encoder
  /// computes with, or nothing is of use.
  package init(parsing data: Data, for encoder: EncoderConfiguration) throws(CheckpointError) {
    let entries = encoder.encoderLayout.entries.filter { !$0.name.hasPrefix(Self.temporary) }
    let file: Safetensors
    do {
      file = try Safetensors(parsing: data) { !Self.isOther($0, depth: encoder.depth) }
    } catch {
      throw CheckpointError("\(error)")
    }
    try Self.checkHeads(file.metadata, encoder)
    try EncoderCheckpoint.check(file.names, among: entries)
    var parts: Set<String> = []
    for entry in entries {
      guard let tensor = file.tensors[entry.name] else { continue }
      try EncoderCheckpoint.check(tensor, for: entry)
      parts.insert(entry.part)
    }
    for entry in entries where parts.contains(entry.part) && file.tensors[entry.name] == nil {
      throw CheckpointError("\(entry.name) is missing, while others of \(entry.part) are there")
    }
    guard !parts.isEmpty else { throw CheckpointError("none of its tensors has a name of this encoder's") }
    (digest, self.parts, tensors) = (Digest(of: data), parts, file.tensors)
  }

  /// Sets a part of a model's parameters to the file's, where the file has it.
  package func write(_ part: Model.Part, of model: Model, into parameters: borrowing Storage) {
    guard parts.contains(part.name) else { return }
    for entry in model.layout.entries where part.range.contains(entry.slot.offset) {
      guard let tensor = tensors[entry.name] else { preconditionFailure("no \(entry.name)") }
      tensor.values.withUnsafeBufferPointer {
        parameters[entry.slot].start.update(from: $0.baseAddress!, count: $0.count)
      }
    }
  }

  /// The layer that an unfinished ResNet ends with.
  private static let temporary = "adapter."

  /// Whether a tensor is none of the encoder's own: it classifies, counts batches, or is of blocks above the
  /// encoder's last.
  private static func isOther(_ name: String, depth: Int) -> Bool {
    if ["head.", "fc.", temporary].contains(where: name.hasPrefix) { return true }
    if name.hasSuffix(".num_batches_tracked") { return true }
    if let block = name.prefixMatch(of: /blocks\.([0-9]+)\./) { return Int(block.1) ?? .max >= depth }
    if let layer = name.prefixMatch(of: /layer([0-9]+)\./) { return Int(layer.1) ?? .max > depth }
    return false
  }

  /// Shapes do not tell the heads of a transformer; with others the same weights are another encoder.
  private static func checkHeads(
    _ metadata: [String: String], _ encoder: EncoderConfiguration
  ) throws(CheckpointError) {
    guard case .vit(let wanted) = encoder, metadata[EncoderCheckpoint.Key.encoder] != nil else { return }
    let stated: EncoderConfiguration = try EncoderCheckpoint.value(EncoderCheckpoint.Key.encoder, metadata)
    guard case .vit(let own) = stated else {
      throw CheckpointError("its metadata say that it is a \(stated.family.rawValue)")
    }
    guard own.heads == wanted.heads else {
      throw CheckpointError("heads is \(own.heads) by its metadata, where this encoder has \(wanted.heads)")
    }
  }
}
