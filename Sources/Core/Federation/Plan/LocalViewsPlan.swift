import Datasets
import Engine

extension PlanField {
  /// The local views of an image (multi-crop).
  static let crops: [PlanField] = [
    PlanField(
      "augmentation.crops.count", \.augmentation.cropsFields.count, of: .images,
      .integer(1...PlanLimits.localViews), unit: "views", or: .required,
      "Local views of each image in a step, in addition to the two global ones.", in: .crops),
    PlanField(
      "augmentation.crops.size", \.augmentation.cropsFields.size, of: .images, .integer(1...PlanLimits.image),
      unit: "pixels", or: .required, "Side of a local view: a multiple of `patch`, and less than `image`.",
      in: .crops),
    PlanField(
      "augmentation.crops.area", \.augmentation.cropsFields.area, of: .images, .range(.above(0, to: 1)),
      unit: "of the image", "Area that a local view keeps, before it is resized.", in: .crops),
  ]
}

extension Plan {
  /// The local views of each image in a step; nil for none.
  package var localViews: LocalViews? {
    augmentation.crops.map { LocalViews(count: $0.count, size: $0.size) }
  }
}

extension AugmentationSettings {
  /// The fields of local views; setting one of them creates the section.
  fileprivate var cropsFields: LocalCrops {
    get { crops ?? LocalCrops(count: 0, size: 0) }
    set { crops = newValue }
  }
}

extension PlanField.OptionalSection {
  /// Without it, a step has no local views.
  fileprivate static let crops = Self(
    isPresent: { $0.augmentation.crops != nil },
    create: { $0.augmentation.crops = LocalCrops(count: 0, size: 0) })
}

extension PlanRule {
  /// The constraints of local views.
  static let crops: [PlanRule] = [
    PlanRule("augmentation.crops.count", "encoder.family") { plan in
      guard plan.augmentation.crops != nil, plan.encoder.family != .vit else { return nil }
      return "is of local views, which a vit takes; this plan has \(plan.encoder.family.rawValue)"
    },
    PlanRule("augmentation.crops.count", "method.objective") { plan in
      let takers: [ObjectiveKind] = [.simclr, .mocov3, .byol, .vicreg, .barlow]
      guard plan.augmentation.crops != nil, !takers.contains(plan.method.objective) else { return nil }
      return
        "is of local views, which \(takers.map(\.rawValue).joined(separator: ", ")) compare with whole ones; this plan has \(plan.method.objective.rawValue)"
    },
    PlanRule("augmentation.crops.size", "encoder.patch", "encoder.image", "encoder.family") { plan in
      guard let crops = plan.augmentation.crops, let shape = plan.encoder.value as? ViTConfiguration else {
        return nil
      }
      if crops.size >= shape.images.side {
        return "is \(crops.size); must be less than the image's \(shape.images.side) pixels"
      }
      return crops.size % shape.patch == 0
        ? nil : "is \(crops.size), which is not a multiple of the patch of \(shape.patch) pixels"
    },
    PlanRule("local.views", "augmentation.crops.count") { plan in
      plan.augmentation.crops != nil && plan.local.views > 0
        ? "is \(plan.local.views); must be 0 with local views, which are drawn anew in each step" : nil
    },
  ]
}
