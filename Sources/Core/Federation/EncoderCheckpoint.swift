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

extension EncoderCheckpoint {
  /// What the shapes of a transformer's tensors do not tell, for a file that does not say it either.
  package struct Hints: Sendable, Hashable {
    package var image, patch, heads: Int?

    package init(image: Int? = nil, patch: Int? = nil, heads: Int? = nil) {
      (self.image, self.patch, self.heads) = (image, patch, heads)
    }
  }

  /// Reads a file's bytes. Where its metadata say what encoder it is, hints must agree with them; where not,
  /// all hints are needed, and images are normalised by a plan's defaults.
  package init(parsing data: Data, _ hints: Hints = Hints()) throws(CheckpointError) {
    let file: Safetensors
    do {
      file = try Safetensors(parsing: data)
    } catch {
      throw CheckpointError("\(error)")
    }
    var plan =
      file.metadata[Key.encoder] == nil
      ? try Self.plan(of: file.tensors, hints) : try Self.plan(of: file.metadata, hints)
    // A plan's initialisation is no matter here, but would be rejected for some encoders.
    plan.method.initialisation = .random
    try Self.check(plan)
    try Self.check(file.tensors, for: plan.encoder)
    self.init(
      plan.encoder, mean: plan.augmentation.mean, deviation: plan.augmentation.deviation,
      origin: try Self.origin(of: file.metadata), tensors: file.tensors)
  }

  /// Files of others, and older ones, do not say it.
  private static func origin(of metadata: [String: String]) throws(CheckpointError) -> Origin? {
    guard metadata[Key.plan] != nil else { return nil }
    return Origin(
      plan: try value(Key.plan, metadata), stage: try value(Key.stage, metadata),
      round: try value(Key.round, metadata))
  }

  /// What the metadata say, as a plan that nobody has checked.
  private static func plan(of metadata: [String: String], _ hints: Hints) throws(CheckpointError) -> Plan {
    let encoder: EncoderConfiguration = try value(Key.encoder, metadata)
    var plan = Plan(encoder: encoder)
    plan.augmentation.mean = try value(Key.mean, metadata)
    plan.augmentation.deviation = try value(Key.deviation, metadata)
    var (patch, heads): (Int?, Int?)
    if case .vit(let c) = encoder { (patch, heads) = (c.patch, c.heads) }
    for (name, hint, own) in [
      ("image", hints.image, encoder.input.images.side), ("patch", hints.patch, patch),
      ("heads", hints.heads, heads),
    ] {
      guard let hint, hint != own else { continue }
      let stated = own.map(String.init) ?? "nothing that a \(encoder.family.rawValue) has,"
      throw CheckpointError("\(name) is \(stated) by its metadata, not \(hint)")
    }
    return plan
  }

  static func value<Value: Decodable>(
    _ key: String, _ metadata: [String: String]
  ) throws(CheckpointError) -> Value {
    guard let text = metadata[key] else { throw CheckpointError("\(key) is missing from its metadata") }
    do {
      return try JSON.read(from: Data(text.utf8))
    } catch {
      throw CheckpointError("\(key) of its metadata cannot be understood: \(PlanRejection.shown(text))")
    }
  }

  /// What the shapes of timm's tensors say, with the hints.
  private static func plan(
    of tensors: [String: Safetensors.Tensor], _ hints: Hints
  ) throws(CheckpointError) -> Plan {
    guard let image = hints.image, let patch = hints.patch, let heads = hints.heads else {
      let given = [("image", hints.image), ("patch", hints.patch), ("heads", hints.heads)]
      throw CheckpointError(
        "its metadata do not say what encoder it is (\(Key.encoder) is missing)",
        missing: given.filter { $0.1 == nil }.map(\.0))
    }
    func shape(_ name: String, of rank: Int) throws(CheckpointError) -> [Int] {
      guard let shape = tensors[name]?.shape else {
        throw CheckpointError("\(name) is missing: it is none of timm's vision transformers")
      }
      guard shape.count == rank else { throw CheckpointError("\(name) is \(shape), not of \(rank) sides") }
      return shape
    }
    let width = try shape("cls_token", of: 3)[2]
    let stem = try shape("patch_embed.proj.weight", of: 4)
    guard stem[2] == patch && stem[3] == patch else {
      throw CheckpointError("patches are \(stem[2]) x \(stem[3]) by its tensors, not \(patch) x \(patch)")
    }
    let hidden = try shape("blocks.0.mlp.fc1.weight", of: 2)[0]
    guard width > 0 && hidden % width == 0 else {
      throw CheckpointError("a hidden width of \(hidden) is not a multiple of the width, \(width)")
    }
    // A block of which a tensor is missing must not pass for the end.
    let last = tensors.keys.compactMap { $0.wholeMatch(of: /blocks\.([0-9]+)\..*/).flatMap { Int($0.1) } }
      .max()
    return Plan(
      encoder: EncoderConfiguration(
        image: image, channels: stem[1], patch: patch, width: width,
        depth: min(last ?? 0, PlanLimits.depth) + 1, heads: heads, mlpRatio: hidden / width))
  }

  /// The encoder must be one that a plan may have, before anything is made of its numbers.
  private static func check(_ plan: Plan) throws(CheckpointError) {
    do {
      _ = try Plan(yaml: plan.yaml(), file: "")
    } catch {
      guard let problem = error.problems.first else { throw CheckpointError(error.description) }
      throw CheckpointError("\(problem.field) \(problem.reason)")
    }
  }

  /// Every parameter must be there in its shape, and nothing else that the encoder would have to compute with;
  /// what classified is left out.
  private static func check(
    _ tensors: [String: Safetensors.Tensor], for encoder: EncoderConfiguration
  ) throws(CheckpointError) {
    let entries = encoder.encoderLayout.entries
    for entry in entries {
      guard let tensor = tensors[entry.name] else { throw CheckpointError("\(entry.name) is missing") }
      try check(tensor, for: entry)
    }
    try check(tensors.keys.filter { !$0.hasPrefix("head.") }, among: entries)
  }

  /// A tensor must have its parameter's shape, and numbers to compute with.
  static func check(_ tensor: Safetensors.Tensor, for entry: Layout.Entry) throws(CheckpointError) {
    guard tensor.shape == entry.shape else {
      throw CheckpointError("\(entry.name) is \(tensor.shape), where this encoder has \(entry.shape)")
    }
    guard tensor.values.allSatisfy(\.isFinite) else {
      throw CheckpointError("\(entry.name) holds what is not a finite number")
    }
  }

  /// Every name must be a parameter's.
  static func check(_ names: some Sequence<String>, among entries: [Layout.Entry]) throws(CheckpointError) {
    let known = Set(entries.map(\.name))
    for name in names.sorted() where !known.contains(name) {
      throw CheckpointError("\(PlanRejection.shown(name)) is a tensor that this encoder has no place for")
    }
  }
}

/// Why a file cannot be taken for an encoder, in one line.
package struct CheckpointError: Error, Sendable, Hashable, CustomStringConvertible {
  package let description: String
  /// Of ``EncoderCheckpoint/Hints``, those with which it might.
  package let missing: [String]

  init(_ description: String, missing: [String] = []) {
    // A file's own names may hold anything.
    self.description = String(description.map { $0.isNewline || $0.isControl ? " " : $0 }.prefix(400))
    self.missing = missing
  }
}
