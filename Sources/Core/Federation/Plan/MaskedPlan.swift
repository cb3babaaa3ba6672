import Engine

extension PlanField {
  /// The masks and the decoder of the objective masked.
  static let masked: [PlanField] = [
    PlanField(
      "method.masked.ratio", \.method.maskedFields.ratio, .number(.from(0.01, to: 0.99)), unit: "share",
      "Share of an image's patches that a step hides; the encoder computes only the others.", in: .masked),
    PlanField(
      "method.masked.width", \.method.maskedFields.width, .integer(1...PlanLimits.width), unit: "numbers",
      "Width of the decoder, a multiple of its `heads`.", in: .masked),
    PlanField(
      "method.masked.blocks", \.method.maskedFields.blocks, .integer(1...PlanLimits.depth), unit: "blocks",
      "Blocks of the decoder.", in: .masked),
    PlanField(
      "method.masked.heads", \.method.maskedFields.heads, .integer(1...PlanLimits.heads), unit: "heads",
      "Attention heads of a block of the decoder.", in: .masked),
  ]
}

extension Plan {
  /// The masks and the decoder of the plan's transformer; nil for encoders without two patches.
  var masked: MaskedConfiguration? {
    guard let shape = encoder.value as? ViTConfiguration, shape.patches >= 2 else { return nil }
    return MaskedConfiguration(method.masked ?? MaskedConfiguration.Settings(), for: shape)
  }
}

extension Plan.Method {
  /// The fields of masked; setting one of them creates the section.
  fileprivate var maskedFields: MaskedConfiguration.Settings {
    get { masked ?? MaskedConfiguration.Settings() }
    set { masked = newValue }
  }
}

extension PlanField.OptionalSection {
  /// Without it, masked has the defaults.
  fileprivate static let masked = Self(
    isPresent: { $0.method.masked != nil }, create: { $0.method.masked = MaskedConfiguration.Settings() })
}

extension PlanRule {
  /// The constraints of masked autoencoding.
  static let masked: [PlanRule] = [
    PlanRule("method.objective", "encoder.family") { plan in
      guard plan.method.objective == .masked, plan.encoder.family == .resnet else { return nil }
      return "is masked, which is for the family vit, whose blocks can skip patches; this plan has resnet"
    },
    section("method.masked.ratio", of: .masked) { $0.method.masked != nil },
    PlanRule("encoder.patch", "method.objective", "encoder.family", "encoder.image") { plan in
      guard plan.method.objective == .masked, let shape = plan.encoder.value as? ViTConfiguration,
        shape.patches < 2
      else { return nil }
      return "is \(shape.patch), which makes a single patch; masked needs one to hide and one to show"
    },
    PlanRule("method.masked.width", "method.masked.heads") { plan in
      guard let decoder = plan.method.masked, decoder.width % decoder.heads != 0 else { return nil }
      return "is \(decoder.width), which is not a multiple of \(decoder.heads) heads"
    },
    PlanRule("method.masked.width", "method.masked.blocks") { plan in
      guard let decoder = plan.method.masked else { return nil }
      let parameters = decoder.blocks * 12 * decoder.width * decoder.width
      return parameters <= PlanLimits.parameters
        ? nil : "gives a decoder of \(parameters) parameters; at most \(PlanLimits.parameters)"
    },
    PlanRule("local.views", "method.objective") { plan in
      plan.method.objective == .masked && plan.local.views > 0
        ? "is \(plan.local.views); must be 0 for masked, whose frozen layers compute other patches in each step"
        : nil
    },
    PlanRule("method.bottleneck.weight", "method.objective") { plan in
      plan.method.objective == .masked && plan.method.regularisers[BottleneckSettings.self] != nil
        ? "is of a term on representations of whole images; masked shows parts of them" : nil
    },
  ]
}
