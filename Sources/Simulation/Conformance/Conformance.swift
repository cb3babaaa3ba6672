import Datasets
import Engine
import Foundation

/// Checks the engine against golden cases.
package enum Conformance {
  /// The result of a case.
  package struct Outcome {
    package let name: String
    /// The largest error of any tensor, or why the case could not be run.
    package let error: Result<Double, ConformanceError>
    package let tolerance: Double
    /// The place of the largest error, or of a value that exceeds a separate tolerance.
    package let place: String

    package var passed: Bool {
      guard case .success(let error) = error else { return false }
      return error <= tolerance
    }

    /// A line for a terminal: name, largest error, tolerance.
    package var line: String {
      let verdict = passed ? "pass" : "FAIL"
      let name = name.padding(toLength: max(36, name.count), withPad: " ", startingAt: 0)
      switch error {
      case .success(let error):
        let figures = String(format: "error %.2e  tolerance %.0e", error, tolerance)
        return "\(verdict)  \(name)  \(figures)\(passed ? "" : "  at \(place)")"
      case .failure(let failure): return "\(verdict)  \(name)  \(failure)"
      }
    }
  }

  /// Runs one case.
  package static func run(_ golden: GoldenCase) -> Outcome {
    do {
      guard let operation = operations[golden.op] else {
        throw ConformanceError("this version does not know the op \(golden.op)")
      }
      let comparison = try operation(golden, golden.tensors())
      return Outcome(
        name: golden.name, error: .success(comparison.error), tolerance: golden.tolerance,
        place: comparison.place)
    } catch let error as ConformanceError {
      return Outcome(name: golden.name, error: .failure(error), tolerance: golden.tolerance, place: "")
    } catch {
      return Outcome(
        name: golden.name, error: .failure(ConformanceError("\(error)")), tolerance: golden.tolerance,
        place: "")
    }
  }

  typealias Operation = @Sendable (GoldenCase, GoldenTensors) throws -> Comparison

  private static let operations: [String: Operation] = LayerCases.operations
    .merging(LossCases.operations) { first, _ in first }
    .merging(NegativeFreeCases.operations) { first, _ in first }
    .merging(MomentumCases.operations) { first, _ in first }
    .merging(AugmentationCases.operations) { first, _ in first }
    .merging(TrainingCases.operations) { first, _ in first }
    .merging(ClassificationCases.operations) { first, _ in first }
    .merging(CascadeCases.operations) { first, _ in first }
    .merging(InformationCases.operations) { first, _ in first }
    .merging(GraphCases.operations) { first, _ in first }
    .merging(GraphConvolutionCases.operations) { first, _ in first }
    .merging(GraphAttentionCases.operations) { first, _ in first }
    .merging(DeepLinearCases.operations) { first, _ in first }
    .merging(ControllerCases.operations) { first, _ in first }
}

/// The largest error of a case so far.
struct Comparison {
  private(set) var error = 0.0
  private(set) var place = ""

  /// Compares a result: |got - expected| over max(1, largest |expected|).
  mutating func compare(_ name: String, _ got: [Float], with expected: [Float]) throws {
    guard got.count == expected.count else {
      throw ConformanceError("\(name): \(got.count) numbers instead of \(expected.count)")
    }
    let scale = max(1, expected.reduce(0) { max($0, abs(Double($1))) })
    note(name, Self.largestDifference(got, expected) / scale)
  }

  /// Compares a result that has a separate absolute tolerance, scaled to units of the case's tolerance.
  mutating func compare(
    _ name: String, _ got: [Float], with expected: [Float], within absolute: Double, tolerance: Double
  ) throws {
    guard got.count == expected.count else {
      throw ConformanceError("\(name): \(got.count) numbers instead of \(expected.count)")
    }
    note(name, Self.largestDifference(got, expected) / absolute * tolerance)
  }

  private mutating func note(_ name: String, _ value: Double) {
    // NaN is the largest possible error.
    let value = value.isNaN ? .infinity : value
    if value > error { (error, place) = (value, name) }
  }

  private static func largestDifference(_ got: [Float], _ expected: [Float]) -> Double {
    var largest = 0.0
    for (a, b) in zip(got, expected) {
      let difference = abs(Double(a) - Double(b))
      if difference.isNaN { return .nan }
      largest = max(largest, difference)
    }
    return largest
  }
}

/// The golden cases of single augmentations, with the random choices as attributes.
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
