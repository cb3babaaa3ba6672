import Foundation

/// The normalised Hilbert-Schmidt independence criterion of samples (HSIC bottleneck, arXiv 1908.01580;
/// E2E-info, arXiv 2402.09050), in float64, and its gradient.
///
/// N samples: inputs X [N, d], features Z [N, F] and classes Y.
///
///     K_ij = exp(-|z_i - z_j|² / (2 σ² F))          H = 1 - 11ᵀ / N
///     R = HKH (HKH + ε N 1)⁻¹ = 1 - ε N P           P = (HKH + ε N 1)⁻¹
///     nHSIC(X, Z) = tr(R_X R_Z) = Σ R_X ⊙ R_Z       0 … N - 1
package struct NormalisedHSIC: Sendable {
  package struct Settings: Sendable, Hashable {
    /// σ, for samples of one column; greater than 0.
    package var sigma: Double
    /// ε, greater than 0.
    package var epsilon: Double
    /// Whether the distance in the kernel is not squared, as in E2E-info's code.
    package var isPlain: Bool

    package init(sigma: Double = 5, epsilon: Double = 1e-5, isPlain: Bool = false) {
      (self.sigma, self.epsilon, self.isPlain) = (sigma, epsilon, isPlain)
    }

    /// The kernel of samples of `columns` columns.
    func kernel(columns: Int) -> SimilarityKernel {
      let width = sigma * Double(max(columns, 1)).squareRoot()
      return SimilarityKernel(isPlain ? .plain : .gaussian, width: .fixed(width))
    }

    /// The similarity of two one-hot rows of different classes, whose squared distance is 2.
    func otherClass(of classes: Int) -> Double {
      exp(-(isPlain ? 2.0.squareRoot() : 2) / (2 * sigma * sigma * Double(classes)))
    }
  }

  package let settings: Settings
  private let inputs, features: Similarities
  /// R of the inputs or classes; the squared distances, similarities and P of the features; a product [N, N].
  private let reference, squared, similarities, inverse, product: DoubleSlot

  /// Adds the memory for N = `samples` samples with d = `inputs` and F = `features` columns to a layout.
  package init(
    _ settings: Settings = Settings(), samples: Int, inputs: Int, features: Int, in layout: inout Layout
  ) {
    precondition(settings.epsilon > 0, "a ridge of \(settings.epsilon)")
    self.settings = settings
    let distances = PairwiseDistances(
      samples: samples, columns: max(inputs, features), differentiated: features, in: &layout)
    self.inputs = Similarities(
      settings.kernel(columns: inputs), distances, samples: samples, in: &layout)
    self.features = Similarities(
      settings.kernel(columns: features), distances, samples: samples, in: &layout)
    reference = layout.addDoubles("reference", samples, samples)
    squared = layout.addDoubles("squared distances", samples, samples)
    similarities = layout.addDoubles("similarities", samples, samples)
    inverse = layout.addDoubles("inverse", samples, samples)
    product = layout.addDoubles("product", samples, samples)
  }

  /// Returns nHSIC(X, Z) and adds `weight` times its gradient to dz.      x [N, d]; z, dz [N, F]
  ///
  /// NaN, without a gradient, if a sample is not finite. The inputs have no gradient.
  package func value(
    inputs x: Matrix, features z: Matrix, adding dz: Matrix? = nil, weight: Double = 1,
    _ work: borrowing Storage
  ) -> Double {
    let reference = work[reference]
    _ = inputs.forward(x, squared: reference, into: reference, work)
    return value(features: z, adding: dz, weight, work)
  }

  /// Returns nHSIC(Y, Z) for rows of `classes` classes, and adds `weight` times its gradient to dz.
  /// z, dz [N, F]
  ///
  /// The kernel of Y is that of one-hot rows [N, classes].
  package func value(
    label: (Int) -> Int, classes: Int, features z: Matrix, adding dz: Matrix? = nil, weight: Double = 1,
    _ work: borrowing Storage
  ) -> Double {
    precondition(classes > 0, "\(classes) classes")
    let reference = work[reference]
    let other = settings.otherClass(of: classes)
    for i in 0..<reference.rows {
      for j in 0..<reference.columns { reference[i, j] = label(i) == label(j) ? 1 : other }
    }
    return value(features: z, adding: dz, weight, work)
  }

  /// The value for the other variable's similarities, which are in `reference`.
  private func value(
    features z: Matrix, adding dz: Matrix?, _ weight: Double, _ work: borrowing Storage
  ) -> Double {
    let (reference, squared, k) = (work[reference], work[squared], work[similarities])
    let (inverse, product) = (work[inverse], work[product])
    let ridge = settings.epsilon * Double(k.rows)
    let sigma = features.forward(z, squared: squared, into: k, work)
    inverse.copy(k)
    guard Self.invert(reference, ridge: ridge), Self.invert(inverse, ridge: ridge) else { return .nan }
    reference.map { -ridge * $0 }
    for i in 0..<k.rows { reference[i, i] += 1 }
    var trace = 0.0
    for i in 0..<k.rows { trace += reference[i, i] }
    let value = trace - ridge * reference.inner(inverse)
    guard value.isFinite else { return .nan }
    if let dz {
      // dK = ε N H P R P H
      DoubleProducts.product(inverse, reference, into: product)
      DoubleProducts.product(product, inverse, into: reference, scale: ridge)
      // It is centred already, since R 1 = 0, but for rounding errors, which P amplifies.
      Self.centre(reference)
      features.backward(
        reference, similarities: k, squared: squared, z, sigma: sigma, throughWidth: false, adding: dz,
        scale: weight, work)
    }
    return value
  }

  /// Replaces similarities k with (HkH + ridge 1)⁻¹. Returns false if they are not finite.
  static func invert(_ k: DoubleMatrix, ridge: Double) -> Bool {
    guard k.inner(k).isFinite else { return false }
    centre(k)
    for i in 0..<k.rows { k[i, i] += ridge }
    return DoubleProducts.invert(k)
  }

  /// Replaces a symmetric matrix k with HkH.
  private static func centre(_ k: DoubleMatrix) {
    // First kH, then H(kH); neither needs memory.
    let count = Double(k.rows)
    for i in 0..<k.rows {
      let row = k.row(i)
      var sum = 0.0
      for j in 0..<k.columns { sum += row[j] }
      let mean = sum / count
      for j in 0..<k.columns { row[j] -= mean }
    }
    for j in 0..<k.columns {
      var sum = 0.0
      for i in 0..<k.rows { sum += k[i, j] }
      let mean = sum / count
      for i in 0..<k.rows { k[i, j] -= mean }
    }
  }
}
