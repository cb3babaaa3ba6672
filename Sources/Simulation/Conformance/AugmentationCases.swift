import Datasets
import Engine

/// Golden cases of single augmentations, the drawn choices given as attributes.
enum AugmentationCases {
  static let operations: [String: Conformance.Operation] = [
    "augment_brightness": { try run($0, $1, .brightness(factor: factor($0))) },
    "augment_contrast": { try run($0, $1, .contrast(factor: factor($0))) },
    "augment_saturation": { try run($0, $1, .saturation(factor: factor($0))) },
    "augment_hue": { try run($0, $1, .hue(factor: factor($0))) },
    "augment_grayscale": { try run($0, $1, .grayscale) },
    "augment_hflip": { try run($0, $1, .horizontalFlip) },
    "augment_solarize": { try run($0, $1, .solarize(threshold: Float($0.number("threshold")))) },
    "augment_gaussian_blur": {
      try run($0, $1, .gaussianBlur(kernel: $0.integer("kernel"), sigma: Float($0.number("sigma"))))
    },
    "augment_resized_crop": {
      try run(
        $0, $1,
        .resizedCrop(
          top: $0.integer("top"), left: $0.integer("left"), height: $0.integer("height"),
          width: $0.integer("width"), size: $0.integer("size")))
    },
  ]

  private static func factor(_ golden: GoldenCase) throws -> Float { Float(try golden.number("factor")) }

  private static func run(
    _ golden: GoldenCase, _ tensors: GoldenTensors, _ operation: Augmentation.Operation
  ) throws -> Comparison {
    let image = try tensors("in.image")
    guard image.shape.count == 3 else { throw ConformanceError("in.image has the shape \(image.shape)") }
    let result = Augmentation.apply(
      operation, to: image.values, channels: image.shape[0], height: image.shape[1], width: image.shape[2])
    var comparison = Comparison()
    try comparison.compare("out.image", result, with: tensors("out.image").values)
    return comparison
  }
}
