import Datasets
import Foundation

/// An augmentation case of the golden manifest.
struct GoldenCase: Decodable, CustomStringConvertible {
  struct Attributes: Decodable {
    let factor: Float?
    let threshold: Float?
    let kernel: Int?
    let sigma: Float?
    let top: Int?
    let left: Int?
    let height: Int?
    let width: Int?
    let size: Int?
  }

  private struct Manifest: Decodable {
    let cases: [Entry]
  }

  /// Cases of other operations have attributes of other types.
  private struct Entry: Decodable {
    let augmentation: GoldenCase?
    init(from decoder: any Decoder) {
      augmentation = try? GoldenCase(from: decoder)
    }
  }

  let name: String
  let op: String
  let file: String
  let tolerance: Float
  let attributes: Attributes

  var description: String { name }

  static func all() throws -> [GoldenCase] {
    let data = try Data(contentsOf: SharedFolder.golden.appendingPathComponent("manifest.json"))
    return try JSONDecoder().decode(Manifest.self, from: data).cases.compactMap(\.augmentation)
      .filter { $0.op.hasPrefix("augment_") }
  }

  /// The operation with the choices of the attributes; nil if it is unknown.
  var operation: Augmentation.Operation? {
    let a = attributes
    switch op {
    case "augment_brightness": return a.factor.map { .brightness(factor: $0) }
    case "augment_contrast": return a.factor.map { .contrast(factor: $0) }
    case "augment_saturation": return a.factor.map { .saturation(factor: $0) }
    case "augment_hue": return a.factor.map { .hue(factor: $0) }
    case "augment_grayscale": return .grayscale
    case "augment_hflip": return .horizontalFlip
    case "augment_solarize": return a.threshold.map { .solarize(threshold: $0) }
    case "augment_gaussian_blur":
      guard let kernel = a.kernel, let sigma = a.sigma else { return nil }
      return .gaussianBlur(kernel: kernel, sigma: sigma)
    case "augment_resized_crop":
      guard let top = a.top, let left = a.left, let height = a.height, let width = a.width,
        let size = a.size
      else { return nil }
      return .resizedCrop(top: top, left: left, height: height, width: width, size: size)
    default: return nil
    }
  }
}
