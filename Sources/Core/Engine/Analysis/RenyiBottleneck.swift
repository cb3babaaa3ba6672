/// The bottleneck term β I(X; T) or β S(T) of layer-wise training (GreedyDIB, arXiv 2510.27651), by the
/// matrix-based Rényi entropies of DIB (arXiv 2102.00533).
///
/// N samples of a batch: the network's inputs X [N, d] and the features T [N, F] of a stage.
///
///     S(X, T) = S_α(K_X ⊙ K_T / N)       I(X; T) = S(X) + S(T) - S(X, T)
///
/// All is computed in float64 on the calling thread, in the memory of a layout.
package struct RenyiBottleneck: Sendable {
  package enum Term: String, Sendable, Codable, CaseIterable {
    /// I(X; T)
    case information
    /// S(T)
    case entropy
  }

  package enum Kernel: String, Sendable, Codable, CaseIterable {
    /// exp(-r² / (2 σ²)), which does not depend on the features' scale if σ follows it.
    case gaussian
    /// exp(-r² / σ), as in DIB's code.
    case dib
  }

  package enum Widths: Sendable, Hashable {
    /// The mean distance to the nearest others.
    case nearest
    /// The mean distance to the first samples of the batch, as in DIB's code.
    case first
    case fixed(inputs: Double, features: Double)
  }

  package struct Settings: Sendable, Hashable {
    /// β.
    package var weight: Float
    package var term: Term
    /// The order of the entropy, greater than 1. An order of 2 needs no eigenvalues.
    package var alpha: Double
    package var kernel: Kernel
    package var widths: Widths
    /// The number of distances per sample in a width, greater than 0.
    package var neighbours: Int
    /// Whether the gradient goes through the width of the features; otherwise the width counts as a constant.
    package var widthGradient: Bool

    /// The widths are by default `nearest` for a Gaussian kernel, and `first` for DIB's.
    package init(
      weight: Float, term: Term = .information, alpha: Double = 1.01, kernel: Kernel = .gaussian,
      widths: Widths? = nil, neighbours: Int = 10, widthGradient: Bool = true
    ) {
      (self.weight, self.term, self.alpha) = (weight, term, alpha)
      (self.kernel, self.widths) = (kernel, widths ?? (kernel == .dib ? .first : .nearest))
      (self.neighbours, self.widthGradient) = (neighbours, widthGradient)
    }

    /// Why no bottleneck has these settings; nil if it can have them.
    package var problem: String? {
      guard alpha > 1 && alpha.isFinite else { return "alpha is \(alpha); must be greater than 1" }
      guard neighbours > 0 else { return "neighbours is \(neighbours); must be at least 1" }
      if case .fixed(let inputs, let features) = widths {
        for sigma in [inputs, features] where !(sigma > 0 && sigma.isFinite) {
          return "a width is \(sigma); must be greater than 0"
        }
      }
      return nil
    }

    fileprivate var inputKernel: SimilarityKernel {
      if case .fixed(let inputs, _) = widths { similarity(.fixed(inputs)) } else { featureKernel }
    }

    fileprivate var featureKernel: SimilarityKernel {
      switch widths {
      case .nearest: similarity(.nearest(neighbours))
      case .first: similarity(.first(neighbours))
      case .fixed(_, let features): similarity(.fixed(features))
      }
    }

    private func similarity(_ width: SimilarityKernel.Width) -> SimilarityKernel {
      SimilarityKernel(kernel == .dib ? .dib : .gaussian, width: width)
    }
  }

  /// The term of a batch and the numbers that it is made of, in bits. NaN is what the term does not need, and
  /// what depends on a sample that is not finite.
  package struct Values: Sendable, Hashable {
    /// I(X; T) or S(T), without its weight.
    package fileprivate(set) var term = Double.nan
    /// The widths σ.
    package fileprivate(set) var inputWidth = Double.nan
    package fileprivate(set) var featureWidth = Double.nan
    /// S(X), S(T) and S(X, T).
    package fileprivate(set) var inputEntropy = Double.nan
    package fileprivate(set) var featureEntropy = Double.nan
    package fileprivate(set) var jointEntropy = Double.nan
  }

  package let settings: Settings
  private let entropy: RenyiEntropy
  private let features: Similarities
  /// The squared distances of the features, their similarities, and the derivative by these [N, N].
  private let squared, similarities, gradient: DoubleSlot
  /// What only I(X; T) needs.
  private let inputs: Inputs?

  private struct Inputs: Sendable {
    let kernel: Similarities
    /// The similarities of the inputs, and the products with those of the features [N, N].
    let similarities, joint: DoubleSlot
  }

  /// Adds the memory for N = `batch` samples with d = `inputs` and F = `features` columns to a layout. An
  /// entropy does not read the inputs.
  package init(_ settings: Settings, batch: Int, inputs: Int, features: Int, in layout: inout Layout) {
    if let problem = settings.problem { preconditionFailure(problem) }
    self.settings = settings
    entropy = RenyiEntropy(alpha: settings.alpha, samples: batch, in: &layout)
    let readsInputs = settings.term == .information
    let distances = PairwiseDistances(
      samples: batch, columns: readsInputs ? max(inputs, features) : features, differentiated: features,
      in: &layout)
    self.features = Similarities(settings.featureKernel, distances, samples: batch, in: &layout)
    squared = layout.addDoubles("squared distances", batch, batch)
    similarities = layout.addDoubles("feature similarities", batch, batch)
    gradient = layout.addDoubles("similarity gradients", batch, batch)
    self.inputs =
      readsInputs
      ? Inputs(
        kernel: Similarities(settings.inputKernel, distances, samples: batch, in: &layout),
        similarities: layout.addDoubles("input similarities", batch, batch),
        joint: layout.addDoubles("joint similarities", batch, batch)) : nil
  }

  /// Returns the weighted term and adds its gradient to dt.          x [N, d]; t, dt [N, F]
  ///
  /// 0, without a gradient, if σ of the features is 0; NaN, without a gradient, if a sample is not finite.
  /// The inputs have no gradient.
  package func loss(x: Matrix, t: Matrix, adding dt: Matrix, _ work: borrowing Storage) -> Float {
    Float(Double(settings.weight) * values(x: x, t: t, adding: dt, work).term)
  }

  /// Returns the term without its weight, and adds its weighted gradient to dt.       x [N, d]; t, dt [N, F]
  package func values(x: Matrix, t: Matrix, adding dt: Matrix, _ work: borrowing Storage) -> Values {
    let (squared, k, g) = (work[squared], work[similarities], work[gradient])
    var values = Values()
    values.featureWidth = features.forward(t, squared: squared, into: k, work)
    if let inputs {
      let similarities = work[inputs.similarities]
      values.inputWidth = inputs.kernel.forward(x, squared: similarities, into: similarities, work)
      values.inputEntropy = entropy.value(similarities, work)
    }
    values.featureEntropy = entropy.value(k, gradient: g, work)
    if let inputs {
      // dI/dK_T = dS/dK (K_T) - dS/dK (K_X ⊙ K_T) ⊙ K_X
      let (similarities, joint) = (work[inputs.similarities], work[inputs.joint])
      joint.copy(similarities)
      joint.combine(k) { $0 * $1 }
      values.jointEntropy = entropy.value(joint, gradient: joint, work)
      joint.combine(similarities) { $0 * $1 }
      g.combine(joint) { $0 - $1 }
      values.term = values.inputEntropy + values.featureEntropy - values.jointEntropy
    } else {
      values.term = values.featureEntropy
    }
    if values.featureWidth == 0 { values.term = 0 }
    guard values.term.isFinite && values.featureWidth > 0 else { return values }
    features.backward(
      g, similarities: k, squared: squared, t, sigma: values.featureWidth,
      throughWidth: settings.widthGradient, adding: dt, scale: Double(settings.weight), work)
    return values
  }
}
