/// The work space of one worker for the forward pass of a chunk through a ResNet with running statistics.
final class ResNetRunner: EncoderRunner {
  private let encoder: ResNet
  private let plan: Plan
  private let storage: Storage

  /// The layout, which gives the memory of a stage before it is allocated.
  struct Plan: Sendable {
    private(set) var layout = Layout(alignment: 16)
    /// An input image, and three feature buffers for input, output and intermediate results, each of the largest
    /// [chunk, size].
    let images, features, middle, output, scratch: Slot

    init(_ encoder: ResNet, chunk: Int) {
      let units = [encoder.stem] + encoder.layers.joined().flatMap(\.units)
      let size = units.map(\.convolution.outputSize).max() ?? 0
      images = layout.add("images", chunk, encoder.shape.images.count)
      features = layout.add("features", chunk, size)
      middle = layout.add("middle", chunk, size)
      output = layout.add("output", chunk, size)
      scratch = layout.add("patches", units.map(\.convolution.scratchSize).max() ?? 0)
    }
  }

  init(_ encoder: ResNet, chunk: Int) {
    self.encoder = encoder
    plan = Plan(encoder, chunk: chunk)
    storage = Storage(plan.layout)
  }

  /// The work space of a convolution.
  var scratch: UnsafeMutablePointer<Float> { storage[plan.scratch].start }

  func begin(
    _ count: Int, _ parameters: borrowing Storage, _ image: (Int, UnsafeMutablePointer<Float>) -> Void
  ) {
    let images = storage[plan.images].rows(0..<count)
    for index in 0..<count { image(index, images.row(index)) }
    let x = features(count, behind: 0)
    run(encoder.stem, images, into: x, parameters)
    Elementwise.relu(x)
  }

  func features(_ count: Int, behind depth: Int) -> Matrix {
    place(plan.features, count, encoder.featureSize(behind: depth))
  }

  private func place(_ slot: Slot, _ count: Int, _ size: Int) -> Matrix {
    storage[slot].rows(0..<count).columns(0..<size)
  }

  func advance(_ count: Int, from start: Int, to end: Int, _ parameters: borrowing Storage) {
    for layer in encoder.layers[start..<end] {
      for block in layer {
        let x = place(plan.features, count, block.inputSize)
        let y = place(plan.features, count, block.outputSize)
        let middle = place(plan.middle, count, block.first.convolution.outputSize)
        let output = place(plan.output, count, block.outputSize)
        run(block.first, x, into: middle, parameters)
        Elementwise.relu(middle)
        run(block.second, middle, into: output, parameters)
        if let shortcut = block.shortcut {
          let other = place(plan.middle, count, block.outputSize)
          run(shortcut, x, into: other, parameters)
          Elementwise.add(other, to: output)
        } else {
          Elementwise.add(x, to: output)
        }
        Elementwise.relu(output)
        Elementwise.copy(output, to: y)
      }
    }
  }

  func represent(_ count: Int, from start: Int, into rows: Matrix, _ parameters: borrowing Storage) {
    advance(count, from: start, to: encoder.layers.count, parameters)
    let pooled = place(plan.middle, count, encoder.pooledWidth)
    pool(count, behind: encoder.layers.count, into: pooled)
    encoder.readout.forward(pooled, into: rows, .none, rows: 0..<count, storage, parameters)
  }

  func pool(_ count: Int, behind depth: Int, into rows: Matrix) {
    encoder.pooling(behind: depth).forward(features(count, behind: depth), into: rows)
  }

  private func run(_ unit: BasicBlock.Unit, _ x: Matrix, into y: Matrix, _ parameters: borrowing Storage) {
    let group = unit.convolution.group
    for first in stride(from: 0, to: x.rows, by: group) {
      let rows = first..<min(first + group, x.rows)
      unit.convolution.forward(x.rows(rows), into: y.rows(rows), scratch, parameters)
    }
    unit.norm.forward(y, into: y, parameters)
  }
}
