import Engine
import Testing

/// A layer under test, with parameters, gradients and work space filled from a seed.
///
/// Work space starts with random numbers, since no layer may rely on zeros; gradients start at 1, since every layer
/// adds to them.
final class Bench {
  private let layout: Layout
  private let work: Storage
  let parameters: Storage
  let gradients: Storage
  let seed: UInt64

  init(_ layout: Layout, work: Layout, seed: UInt64, deviation: Float = 0.5) {
    (self.layout, self.seed) = (layout, seed)
    self.work = Storage(work)
    parameters = Storage(layout)
    gradients = Storage(layout)
    var random = RandomNumbers(seed, "bench")
    parameters.all.draw(&random, deviation: deviation)
    self.work.all.draw(&random)
    Elementwise.fill(gradients.all, 1)
  }

  /// Returns a matrix in the work space.
  subscript(_ slot: Slot) -> Matrix { work[slot] }

  /// Calls `body` with the work space, which a closure cannot borrow otherwise.
  func withWork<Result>(_ body: (borrowing Storage) -> Result) -> Result { body(work) }

  /// Expects the gradients of the inputs and of all parameters to agree with the differences of `value`, which runs the
  /// layer forward. The backward pass must have run before. `step` is the longest change.
  func expectGradients(
    _ inputs: [Differentiable], vanishing: Set<String> = [], step: Float = 2e-2,
    sourceLocation: SourceLocation = #_sourceLocation, of value: () -> Double
  ) {
    let ofParameters = layout.entries.map { entry in
      Differentiable(
        entry.name, parameters[entry.slot], gradient: gradients[entry.slot].array().map { $0 - 1 },
        vanishes: vanishing.contains(entry.name))
    }
    FiniteDifferences(seed: seed, step: step)
      .expect(inputs + ofParameters, sourceLocation: sourceLocation, of: value)
  }
}
