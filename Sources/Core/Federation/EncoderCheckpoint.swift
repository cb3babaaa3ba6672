import Datasets
import Engine
import Foundation
import Support

/// An encoder as a file holds it: its weights under timm's names (safetensors) and, in the file's metadata,
/// what encoder it is and how its images are normalised.
package struct EncoderCheckpoint: Sendable {
  package let configuration: EncoderConfiguration
  /// As ``AugmentationSettings/mean``: one for all channels or one a channel.
  package let mean: [Float]
  /// As ``AugmentationSettings/deviation``.
  package let deviation: [Float]
  /// Which round of which job left it so; nil where a file does not say.
  package let origin: Origin?
  /// By name; those of ``layout``.
  package let tensors: [String: Safetensors.Tensor]

  /// A committed round of a job.
  package struct Origin: Sendable, Hashable {
    /// The plan's name.
    package let plan: String
    /// Counted from 1.
    package let stage: Int
    /// Counted from 1 in each stage.
    package let round: Int

    package init(plan: String, stage: Int, round: Int) {
      (self.plan, self.stage, self.round) = (plan, stage, round)
    }
  }

  /// Names of the metadata, whose values are JSON.
  enum Key {
    /// An ``EncoderConfiguration``.
    static let encoder = "strata.encoder"
    static let mean = "strata.mean"
    static let deviation = "strata.deviation"
    /// An ``Origin``.
    static let (plan, stage, round) = ("strata.plan", "strata.stage", "strata.round")
  }

  /// The encoder of a snapshot, as deep as it is there.
  package init(_ snapshot: Snapshot, _ augmentation: AugmentationSettings, origin: Origin? = nil) {
    var configuration = snapshot.stage.model.encoder.configuration
    configuration.depth = snapshot.stage.model.depth
    self.init(
      configuration, mean: augmentation.mean, deviation: augmentation.deviation, origin: origin,
      tensors: snapshot.encoderTensors().tensors)
  }

  /// `tensors` are those of the configuration's encoder.
  init(
    _ configuration: EncoderConfiguration, mean: [Float], deviation: [Float], origin: Origin?,
    tensors: [String: Safetensors.Tensor]
  ) {
    (self.configuration, self.mean, self.deviation) = (configuration, mean, deviation)
    (self.origin, self.tensors) = (origin, tensors)
  }

  /// The layout of the encoder's parameters; layouts of more begin like it.
  package var layout: Layout { configuration.encoderLayout }

  /// Sets the encoder's parameters of a layout that begins with them.
  package func write(into parameters: borrowing Storage) {
    for entry in layout.entries {
      guard let tensor = tensors[entry.name] else { preconditionFailure("no \(entry.name)") }
      tensor.values.withUnsafeBufferPointer {
        parameters[entry.slot].start.update(from: $0.baseAddress!, count: $0.count)
      }
    }
  }

  /// The file's bytes.
  package func encoded() throws -> Data {
    var file = Safetensors()
    file.metadata = try metadata()
    for entry in layout.entries { if let tensor = tensors[entry.name] { file.add(entry.name, tensor) } }
    return try file.encoded()
  }

  /// What a file says about itself: JSON by name.
  package func metadata() throws -> [String: String] {
    var texts = [
      Key.encoder: try Self.text(configuration), Key.mean: try Self.text(mean),
      Key.deviation: try Self.text(deviation),
    ]
    guard let origin else { return texts }
    texts[Key.plan] = try Self.text(origin.plan)
    texts[Key.stage] = try Self.text(origin.stage)
    texts[Key.round] = try Self.text(origin.round)
    return texts
  }

  private static func text(_ value: some Encodable) throws -> String {
    String(decoding: try JSON.stored(value), as: UTF8.self)
  }
}

extension EncoderConfiguration {
  /// All parameters of the whole encoder.
  var encoderLayout: Layout {
    var layout = Layout()
    _ = makeEncoder(blocks: Array(0..<depth), in: &layout)
    return layout
  }
}
