import Datasets

/// Rules on the augmentation of images.
extension LintRule {
  static let ofAugmentation: [LintRule] = [
    LintRule("no augmentation") { plan in
      let settings = plan.augmentation
      guard plan.comparesViews, settings.padding == 0, settings.cropArea.lowerBound >= 0.99,
        settings.jitter == 0, settings.grayscale == 0, settings.blur.allSatisfy({ $0 == 0 })
      else { return nil }
      return Advice(
        "augmentation.cropArea",
        "the two views of an image are almost equal, so the loss teaches nothing but to tell images apart",
        "cropArea: [0.2, 1]")
    },
    LintRule("colours of grey images") { plan in
      let settings = plan.augmentation
      guard plan.encoder.input.isImages, plan.encoder.imageChannels == 1,
        settings.grayscale > 0 || settings.jitter > 0 && (settings.saturation > 0 || settings.hue > 0)
      else { return nil }
      return Advice(
        "augmentation.grayscale",
        "with one channel, saturation, hue and conversion to grey change nothing",
        "saturation: 0, hue: 0, grayscale: 0")
    },
    LintRule("tiny crops") { plan in
      let area = plan.augmentation.cropArea
      guard plan.encoder.input.isImages, plan.augmentation.padding == 0,
        area.lowerBound < 0.02 || area.upperBound < 0.1
      else { return nil }
      return Advice(
        "augmentation.cropArea",
        "a crop may have \(area.lowerBound * 100) % of an image, hardly more than one colour",
        "[0.2, 1] or [0.08, 1]")
    },
    LintRule("blur beyond the image") { plan in
      let side = plan.encoder.input.isImages ? plan.encoder.imageSide : 0
      let kernel = plan.augmentation.blurKernel ?? 1
      guard side > 0, plan.augmentation.blur.contains(where: { $0 > 0 }), kernel > side else { return nil }
      return Advice(
        "augmentation.blurKernel",
        "the kernel is larger than the image of \(side) pixels, which is left without detail",
        "auto")
    },
    LintRule("blur without detail") { plan in
      let side = plan.encoder.input.isImages ? plan.encoder.imageSide : 0
      guard side > 0, plan.augmentation.blur.contains(where: { $0 > 0 }),
        plan.augmentation.blurSigma.upperBound > Float(side) / 4
      else { return nil }
      return Advice(
        "augmentation.blurSigma",
        "a blur of more than a quarter of the image of \(side) pixels leaves no detail", "[0.1, 2]")
    },
    LintRule("scale of values") { plan in
      guard plan.encoder.input.isImages, let least = plan.augmentation.deviation.min(), least < 0.02 else {
        return nil
      }
      return Advice(
        "augmentation.deviation", "values are divided by it and become \(Int(1 / least)) or more", "0.25")
    },
  ]
}
