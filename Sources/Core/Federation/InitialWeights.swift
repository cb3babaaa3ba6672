import Engine
import Foundation

/// A file of initial weights for a plan's encoder, with some or all parts of the finished encoder.
///
/// A part (stem, block, final normalisation) is used as a whole. Parts that are not in the file, heads, and the
/// temporary layer of a ResNet are initialised as without a file.
package struct InitialWeights: Sendable {
  /// The digest of the file.
  package let digest: Digest
  /// The names of the parts in the file, as in ``Model/Part``.
  package let parts: Set<String>
  /// The tensors by name, in the shapes of the encoder.
  private let tensors: [String: Safetensors.Tensor]

  /// Parses a safetensors file for an encoder. Throws ``CheckpointError`` if a tensor has another shape than the
  /// encoder's, a part is incomplete, the file's encoder has tensors that would be omitted, or no tensor is usable.
  package init(parsing data: Data, for encoder: EncoderConfiguration) throws(CheckpointError) {
    let entries = encoder.encoderLayout.entries.filter { !$0.name.hasPrefix(Self.temporary) }
    let file: Safetensors
    do {
      file = try Safetensors(parsing: data) { !Self.isOther($0, depth: encoder.depth) }
    } catch {
      throw CheckpointError("\(error)")
    }
    try Self.checkConfiguration(file.metadata, encoder)
    try EncoderCheckpoint.check(file.names, among: entries)
    var parts: Set<String> = []
    for entry in entries {
      guard let tensor = file.tensors[entry.name] else { continue }
      try EncoderCheckpoint.check(tensor, for: entry)
      parts.insert(entry.part)
    }
    for entry in entries where parts.contains(entry.part) && file.tensors[entry.name] == nil {
      throw CheckpointError("\(entry.name) is missing, but other tensors of \(entry.part) are present")
    }
    guard !parts.isEmpty else { throw CheckpointError("none of its tensors belongs to this encoder") }
    (digest, self.parts, tensors) = (Digest(of: data), parts, file.tensors)
  }

  /// Writes a part of a model's parameters if the file contains it.
  package func write(_ part: Model.Part, of model: Model, into parameters: borrowing Storage) {
    guard parts.contains(part.name) else { return }
    for entry in model.layout.entries where part.range.contains(entry.slot.offset) {
      guard let tensor = tensors[entry.name] else { preconditionFailure("no \(entry.name)") }
      tensor.values.withUnsafeBufferPointer {
        parameters[entry.slot].start.update(from: $0.baseAddress!, count: $0.count)
      }
    }
  }

  /// The prefix of the temporary layer of an unfinished ResNet.
  private static let temporary = "adapter."
  /// The prefixes of classifiers of other software, and of an exported classification's exits.
  private static let classifiers = ["head.", "fc.", "classifier.", "lin.", "exits."]

  /// Whether a tensor does not belong to the encoder: it is part of a classifier, counts batches, or belongs to blocks
  /// above the encoder's last.
  private static func isOther(_ name: String, depth: Int) -> Bool {
    if (classifiers + [temporary]).contains(where: name.hasPrefix) { return true }
    if name.hasSuffix(".num_batches_tracked") { return true }
    if let block = name.prefixMatch(of: /blocks\.([0-9]+)\./) { return Int(block.1) ?? .max >= depth }
    if let layer = name.prefixMatch(of: /convs\.([0-9]+)\./) { return Int(layer.1) ?? .max >= depth }
    if let layer = name.prefixMatch(of: /layer([0-9]+)\./) { return Int(layer.1) ?? .max > depth }
    return false
  }

  /// Checks the number of heads or the propagation in the metadata, because shapes do not determine it and another one
  /// makes another encoder of the same weights.
  private static func checkConfiguration(
    _ metadata: [String: String], _ encoder: EncoderConfiguration
  ) throws(CheckpointError) {
    guard [.vit, .gcn, .gat].contains(encoder.family), metadata[EncoderCheckpoint.Key.encoder] != nil else {
      return
    }
    let stated: EncoderConfiguration = try EncoderCheckpoint.value(EncoderCheckpoint.Key.encoder, metadata)
    guard stated.family == encoder.family else {
      throw CheckpointError("its metadata describe a \(stated.family.rawValue)")
    }
    func check<Value: Equatable>(_ name: String, _ own: Value, _ wanted: Value) throws(CheckpointError) {
      guard own != wanted else { return }
      throw CheckpointError("\(name) is \(own) by its metadata, where this encoder has \(wanted)")
    }
    if encoder.family != .gcn { try check("heads", stated.heads, encoder.heads) }
    if encoder.family == .gcn { try check("propagation", stated.gcn.propagation, encoder.gcn.propagation) }
  }
}
