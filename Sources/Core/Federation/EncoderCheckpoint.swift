import Datasets
import Engine
import Foundation
import Support

/// An encoder in a file: its weights with the names of timm, torchvision or PyTorch Geometric (safetensors) and, in the
/// metadata, its configuration and the normalisation of its images, if it takes images. The file of a classification
/// also has its exits.
package struct EncoderCheckpoint: Sendable {
  package let configuration: EncoderConfiguration
  /// The mean as in ``AugmentationSettings/mean``: one for all channels or one per channel.
  package let mean: [Float]
  /// The standard deviation as in ``AugmentationSettings/deviation``.
  package let deviation: [Float]
  /// The round of a job that produced the weights; nil if the file does not contain it.
  package let origin: Origin?
  /// The exits; nil if the file has an encoder only.
  package let exits: Exits?
  /// The tensors of ``layout``, and those of the exits, by name.
  package let tensors: [String: Safetensors.Tensor]

  /// A committed round of a job.
  package struct Origin: Sendable, Hashable {
    /// The name of the plan.
    package let plan: String
    /// The stage, starting at 1.
    package let stage: Int
    /// The round in the stage, starting at 1.
    package let round: Int

    package init(plan: String, stage: Int, round: Int) {
      (self.plan, self.stage, self.round) = (plan, stage, round)
    }
  }

  /// The keys of the metadata, whose values are JSON.
  enum Key {
    /// An ``EncoderConfiguration``.
    static let encoder = "strata.encoder"
    static let mean = "strata.mean"
    static let deviation = "strata.deviation"
    /// The ``Exits``.
    static let exits = "strata.exits"
    /// An ``Origin``.
    static let (plan, stage, round) = ("strata.plan", "strata.stage", "strata.round")
  }

  /// Creates a checkpoint of a snapshot's encoder, with the depth of the snapshot and the layers that wait, and of its exits if the
  /// plan's method is given and is a classification.
  package init(
    _ snapshot: Snapshot, _ augmentation: AugmentationSettings,
    method: Plan.Method? = nil, origin: Origin? = nil
  ) {
    let snapshot = snapshot.complete
    var configuration = snapshot.stage.model.configuration
    configuration.depth = snapshot.stage.model.depth
    // The grid belongs to the classifier; a representation is the mean of all pixels.
    if (configuration.value as? ResNetConfiguration)?.grid != nil {
      configuration = configuration.pooled(grid: 1)
    }
    let exits = method.flatMap { Exits($0, of: snapshot.stage) }
    let layout = exits?.model(of: configuration).layout ?? configuration.encoderLayout
    let names = Set(layout.entries.map(\.name))
    self.init(
      configuration, mean: augmentation.mean, deviation: augmentation.deviation, origin: origin, exits: exits,
      tensors: snapshot.tensors { names.contains($0.name) }.tensors)
  }

  /// Creates a checkpoint; `tensors` are those of the configuration's encoder and of the exits.
  init(
    _ configuration: EncoderConfiguration, mean: [Float], deviation: [Float], origin: Origin?,
    exits: Exits?, tensors: [String: Safetensors.Tensor]
  ) {
    (self.configuration, self.mean, self.deviation) = (configuration, mean, deviation)
    (self.origin, self.exits, self.tensors) = (origin, exits, tensors)
  }

  /// The layout of the encoder's parameters, with which the layouts of complete models begin.
  package var layout: Layout { configuration.encoderLayout }

  /// Writes the encoder's parameters to a storage whose layout begins with them.
  package func write(into parameters: borrowing Storage) { write(layout.entries, into: parameters) }

  /// Writes these parameters of the encoder or of ``classifier`` to a storage of their layout.
  package func write(_ entries: [Layout.Entry], into parameters: borrowing Storage) {
    for entry in entries {
      guard let tensor = tensors[entry.name] else { preconditionFailure("no \(entry.name)") }
      tensor.values.withUnsafeBufferPointer {
        parameters[entry.slot].start.update(from: $0.baseAddress!, count: $0.count)
      }
    }
  }

  /// Returns the bytes of the file.
  package func encoded() throws -> Data {
    var file = Safetensors()
    file.metadata = try metadata()
    for entry in entries { if let tensor = tensors[entry.name] { file.add(entry.name, tensor) } }
    if configuration.classifierConvention == .graph, let classes = exits?.classes.count {
      file.add(
        Self.graphBias, Safetensors.Tensor(shape: [classes], values: [Float](repeating: 0, count: classes)))
    }
    return try file.encoded()
  }

  /// Returns the metadata of the file: JSON by key.
  package func metadata() throws -> [String: String] {
    var texts = [Key.encoder: try Self.text(configuration)]
    if configuration.input.isImages {
      texts[Key.mean] = try Self.text(mean)
      texts[Key.deviation] = try Self.text(deviation)
    }
    if let exits { texts[Key.exits] = try Self.text(exits) }
    guard let origin else { return texts }
    texts[Key.plan] = try Self.text(origin.plan)
    texts[Key.stage] = try Self.text(origin.stage)
    texts[Key.round] = try Self.text(origin.round)
    return texts
  }

  /// The bias of the classifier in PyTorch Geometric's GCN, which cannot be created without one: zeros in a file.
  private static let graphBias = "lin.bias"

  /// Removes this bias, which the engine's classifier does not have. Throws ``CheckpointError`` if it is not zeros.
  private static func removeGraphBias(
    from tensors: inout [String: Safetensors.Tensor]
  ) throws(CheckpointError) {
    guard tensors.removeValue(forKey: graphBias)?.values.allSatisfy({ $0 == 0 }) ?? true else {
      throw CheckpointError("\(graphBias) is not 0, where this classifier has no bias")
    }
  }

  private static func text(_ value: some Encodable) throws -> String {
    String(decoding: try JSON.stored(value), as: UTF8.self)
  }
}

extension EncoderConfiguration {
  /// The layout of the parameters of the whole encoder.
  var encoderLayout: Layout {
    var layout = Layout()
    _ = makeEncoder(blocks: Array(0..<depth), in: &layout)
    return layout
  }
}

extension EncoderCheckpoint {
  /// The configuration of a transformer that the shapes of its tensors do not determine, for files without metadata.
  package struct Hints: Sendable, Hashable {
    package var image, patch, heads: Int?

    package init(image: Int? = nil, patch: Int? = nil, heads: Int? = nil) {
      (self.image, self.patch, self.heads) = (image, patch, heads)
    }
  }

  /// Parses a file. If its metadata contain the configuration, hints must agree with it; otherwise all hints are
  /// required, and images are normalised with a plan's defaults.
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
    let exits: Exits? = file.metadata[Key.exits] == nil ? nil : try Self.value(Key.exits, file.metadata)
    exits?.write(into: &plan)
    try Self.check(plan)
    try exits?.checkDepths(of: plan.encoder)
    var tensors = file.tensors
    if plan.encoder.classifierConvention == .graph { try Self.removeGraphBias(from: &tensors) }
    try Self.check(
      tensors, (exits?.model(of: plan.encoder).layout ?? plan.encoder.encoderLayout).entries)
    self.init(
      plan.encoder, mean: plan.augmentation.mean, deviation: plan.augmentation.deviation,
      origin: try Self.origin(of: file.metadata), exits: exits, tensors: tensors)
  }

  /// Returns the origin from metadata; nil for files of other software and older files.
  private static func origin(of metadata: [String: String]) throws(CheckpointError) -> Origin? {
    guard metadata[Key.plan] != nil else { return nil }
    return Origin(
      plan: try value(Key.plan, metadata), stage: try value(Key.stage, metadata),
      round: try value(Key.round, metadata))
  }

  /// Returns the configuration in the metadata as an unchecked plan.
  private static func plan(of metadata: [String: String], _ hints: Hints) throws(CheckpointError) -> Plan {
    let encoder: EncoderConfiguration = try value(Key.encoder, metadata)
    var plan = Plan(encoder: encoder)
    if encoder.input.isImages {
      plan.augmentation.mean = try value(Key.mean, metadata)
      plan.augmentation.deviation = try value(Key.deviation, metadata)
    }
    let transformer = encoder.value as? ViTConfiguration
    for (name, hint, own) in [
      ("image", hints.image, (encoder.value as? any ImageFamilyConfiguration)?.images.side),
      ("patch", hints.patch, transformer?.patch),
      ("heads", hints.heads, transformer?.heads),
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

  /// Returns the configuration from the shapes of timm's tensors and the hints as an unchecked plan.
  private static func plan(
    of tensors: [String: Safetensors.Tensor], _ hints: Hints
  ) throws(CheckpointError) -> Plan {
    guard let image = hints.image, let patch = hints.patch, let heads = hints.heads else {
      let given = [("image", hints.image), ("patch", hints.patch), ("heads", hints.heads)]
      throw CheckpointError(
        "its metadata do not describe the encoder (\(Key.encoder) is missing)",
        missing: given.filter { $0.1 == nil }.map(\.0))
    }
    func shape(_ name: String, of rank: Int) throws(CheckpointError) -> [Int] {
      guard let shape = tensors[name]?.shape else {
        throw CheckpointError("\(name) is missing: it is not a vision transformer with timm's names")
      }
      guard shape.count == rank else {
        throw CheckpointError("\(name) has the shape \(shape); must have \(rank) sides")
      }
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
    // A block with a missing tensor must not count as the end of the encoder.
    let last = tensors.keys.compactMap { $0.wholeMatch(of: /blocks\.([0-9]+)\..*/).flatMap { Int($0.1) } }
      .max()
    return Plan(
      encoder: EncoderConfiguration(
        image: image, channels: stem[1], patch: patch, width: width,
        depth: min(last ?? 0, PlanLimits.depth) + 1, heads: heads, mlpRatio: hidden / width))
  }

  /// Checks that the encoder and its classifiers are permitted in a plan, before their numbers are used. The rest of the
  /// plan is not used.
  private static func check(_ plan: Plan) throws(CheckpointError) {
    let used = ["encoder.", "augmentation.", "method.classification.", "method.cascade."]
    let problem = plan.problems.first { problem in used.contains { problem.field.hasPrefix($0) } }
    if let problem { throw CheckpointError("\(problem.field) \(problem.reason)") }
  }

  /// Checks that all parameters are present with their shapes, and that no other tensor belongs to the encoder;
  /// classifiers of other software are ignored.
  private static func check(
    _ tensors: [String: Safetensors.Tensor], _ entries: [Layout.Entry]
  ) throws(CheckpointError) {
    for entry in entries {
      guard let tensor = tensors[entry.name] else { throw CheckpointError("\(entry.name) is missing") }
      try check(tensor, for: entry)
    }
    try check(tensors.keys.filter { !$0.hasPrefix("head.") }, among: entries)
  }

  /// Checks that a tensor has its parameter's shape and finite values.
  static func check(_ tensor: Safetensors.Tensor, for entry: Layout.Entry) throws(CheckpointError) {
    guard tensor.shape == entry.shape else {
      throw CheckpointError("\(entry.name) is \(tensor.shape), where this encoder has \(entry.shape)")
    }
    guard tensor.values.allSatisfy(\.isFinite) else {
      throw CheckpointError("\(entry.name) contains a number that is not finite")
    }
  }

  /// Checks that every name is that of a parameter.
  static func check(_ names: some Sequence<String>, among entries: [Layout.Entry]) throws(CheckpointError) {
    let known = Set(entries.map(\.name))
    for name in names.sorted() where !known.contains(name) {
      throw CheckpointError("\(PlanRejection.shown(name)) is not a tensor of this encoder")
    }
  }
}

/// The reason why a file cannot be read as an encoder, in one line.
package struct CheckpointError: Error, Sendable, Hashable, CustomStringConvertible {
  package let description: String
  /// The names of the ``EncoderCheckpoint/Hints`` that are missing.
  package let missing: [String]

  init(_ description: String, missing: [String] = []) {
    // Names in a file may contain any character.
    self.description = String(description.map { $0.isNewline || $0.isControl ? " " : $0 }.prefix(400))
    self.missing = missing
  }
}
