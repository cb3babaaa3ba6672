import Engine

/// A layer under test: its parameters from the case, room for its gradients, and work space.
///
/// The layer is made under the name `case`, which the case's own names leave out.
final class LayerFixture {
  private let layout: Layout
  private let tensors: GoldenTensors
  private let work: Storage
  let parameters: Storage
  let gradients: Storage
  private var comparison = Comparison()

  static let name = "case"

  /// `layout` has the layer's parameters, `work` its work space. Throws where the case lacks a parameter or
  /// has one of another size.
  init(_ layout: Layout, work: Layout, _ tensors: GoldenTensors) throws {
    self.layout = layout
    self.tensors = tensors
    self.work = Storage(work)
    parameters = Storage(layout)
    gradients = Storage(layout)
    for entry in layout.entries {
      try fill(parameters[entry.slot], "param.\(Self.caseName(entry.name))")
    }
  }

  /// Calls `body` with the work space, which a closure cannot otherwise borrow.
  func withWork<Result>(_ body: (borrowing Storage) throws -> Result) rethrows -> Result { try body(work) }

  subscript(_ slot: Slot) -> Matrix { work[slot] }

  /// Copies a tensor of the case to a place of as many elements.
  func fill(_ matrix: Matrix, _ name: String) throws {
    let tensor = try tensors(name)
    guard tensor.values.count == matrix.count else {
      throw ConformanceError("\(name) has the shape \(tensor.shape); \(matrix.count) elements are wanted")
    }
    let flat = matrix.flat
    for (index, value) in tensor.values.enumerated() { flat[0, index] = value }
  }

  func compare(_ name: String, _ got: Matrix) throws {
    try comparison.compare(name, got.array(), with: tensors(name).values)
  }

  /// Compares the gradients of all parameters too, and returns the comparison.
  func finish() throws -> Comparison {
    for entry in layout.entries { try compare("grad.\(Self.caseName(entry.name))", gradients[entry.slot]) }
    return comparison
  }

  private static func caseName(_ name: String) -> Substring {
    name.hasPrefix("\(Self.name).") ? name.dropFirst(Self.name.count + 1) : name[...]
  }
}
