/// ResNet-18 for small images, in four layers of two residual blocks (arXiv 1512.03385; stem for small images as in
/// SimCLR's appendix B.9: one 3 x 3 convolution and no pooling).
///
/// A layer here is a block in the federation. Layer l has width·2^l channels and, except the first, halves the image's
/// side. The pooled output is the mean over the pixels [F]. While layers are missing, a temporary linear layer maps it
/// to D = 8·width.
package struct ResNet: Encoder {
  package let shape: ResNetConfiguration
  package let blocks: [Int]
  package let stem: BasicBlock.Unit
  package let layers: [[BasicBlock]]
  package let readout: Readout

  /// Adds the parameters of the stem, of the layers and of the temporary linear layer, with torchvision's names; the
  /// last one is `adapter`.
  package init(_ c: ResNetConfiguration, blocks: [Int], in layout: inout Layout) {
    precondition(blocks == Array(0..<blocks.count) && blocks.count <= 4, "layers \(blocks) of a ResNet")
    (shape, self.blocks) = (c, blocks)
    layout.part = "stem"
    stem = BasicBlock.Unit(
      "conv1", "bn1", inputs: c.images.channels, outputs: c.width, kernel: 3, stride: 1, side: c.images.side,
      in: &layout)
    var layers: [[BasicBlock]] = []
    var (channels, side) = (c.width, c.images.side)
    for index in blocks {
      layout.part = "blocks.\(index)"
      let (outputs, stride) = (c.width << index, index == 0 ? 1 : 2)
      let first = BasicBlock(
        "layer\(index + 1).0", inputs: channels, outputs: outputs, stride: stride, side: side, in: &layout)
      side = first.first.convolution.outputSide
      let second = BasicBlock(
        "layer\(index + 1).1", inputs: outputs, outputs: outputs, stride: 1, side: side, in: &layout)
      layers.append([first, second])
      channels = outputs
    }
    self.layers = layers
    if c.grid != nil || channels == c.output {
      readout = .identity
    } else {
      // A separate part for each stage, because it is not transferred to the next one.
      layout.part = "adapter.\(blocks.count)"
      readout = .linear(
        Linear("adapter", inputs: channels, outputs: c.output, in: &layout))
    }
  }

  /// Creates an encoder of given layers behind a stem, as the shape describes them; its grid's means are the
  /// representation.
  package init(_ shape: ResNetConfiguration, stem: BasicBlock.Unit, layers: [[BasicBlock]]) {
    precondition(shape.grid != nil && layers.count == shape.depth, "\(layers.count) layers of \(shape)")
    (self.shape, self.stem, self.layers) = (shape, stem, layers)
    (blocks, readout) = (Array(layers.indices), .identity)
  }

  package var pooledWidth: Int { pooledWidth(behind: blocks.count) }
  /// Frozen layers normalise with running statistics only below the traced ones.
  package var tracedBlocks: Int { 0 }
  package var inputCount: Int { shape.images.count }
  package var output: Int { output(behind: blocks.count) }
  package func output(behind depth: Int) -> Int {
    shape.grid.map { shape.output(behind: depth, grid: $0) } ?? shape.output
  }

  package func pooledWidth(behind depth: Int) -> Int { shape.output(behind: depth, grid: shape.grid ?? 1) }

  package func makeReadout(_ name: String, behind depth: Int, in layout: inout Layout) -> Readout {
    let width = pooledWidth(behind: depth)
    guard shape.grid == nil, width < output else { return .identity }
    return .linear(Linear("\(name).adapter", inputs: width, outputs: output, in: &layout))
  }

  package func featureSize(behind depth: Int) -> Int {
    depth == 0 ? stem.convolution.outputSize : lastBlock(ofLayer: depth).outputSize
  }

  private func lastBlock(ofLayer depth: Int) -> BasicBlock {
    layers[depth - 1][layers[depth - 1].count - 1]
  }

  /// Returns the pooling of a layer's output.
  package func pooling(behind depth: Int) -> GridPooling {
    GridPooling(side: lastBlock(ofLayer: depth).second.convolution.outputSide, grid: shape.grid ?? 1)
  }

  package var operations: EncoderOperations {
    let blocks = layers.map { $0.flatMap(\.units).reduce(0) { $0 + $1.convolution.operations } }
    var readout = 0
    if case .linear = self.readout { readout = 2 * pooledWidth * output }
    return EncoderOperations(
      stem: stem.convolution.operations, blocks: blocks, lastBlock: blocks[blocks.count - 1], readout: readout
    )
  }

  /// torchvision's distributions: convolutions from He's normal distribution with their fan-out, normalisations 1 and
  /// 0; the temporary linear layer as in nn.Linear.
  package func distribution(of entry: Layout.Entry) -> Initialisation.Distribution {
    if entry.name.hasSuffix("running_var") { return .constant(1) }
    if entry.shape.count == 1 { return .constant(entry.name.hasSuffix("weight") ? 1 : 0) }
    guard entry.shape.count == 4 else {
      return .uniform(bound: 1 / Float(entry.slot.columns).squareRoot())
    }
    let fanOut = entry.shape[0] * entry.shape[2] * entry.shape[3]
    return .normal(deviation: (2 / Float(fanOut)).squareRoot())
  }

  package func makePass(_ settings: PassSettings, workers: Workers) -> any EncoderPass {
    ResNetPass(self, settings, workers: workers)
  }

  package func passMemory(_ settings: PassSettings, workers: Int) -> [(name: String, bytes: Int)] {
    [
      ("traces", ResNetPass.Plan(self, settings).layout.bytes),
      ("workers", workers * ResNetRunner.Plan(self, chunk: settings.chunk).layout.bytes),
    ]
  }

  package func makeRunner(chunk: Int) -> any EncoderRunner { ResNetRunner(self, chunk: chunk) }
  package func runnerMemory(chunk: Int) -> Int { ResNetRunner.Plan(self, chunk: chunk).layout.bytes }
}

/// The means of the g x g equal cells of a map, with channels outside and rows of cells inside.
///
/// n images, C channels, side² pixels.
package struct GridPooling: Sendable {
  package let side, grid: Int

  /// - Parameter grid: g, which divides the side.
  init(side: Int, grid: Int) {
    precondition(grid > 0 && side % grid == 0, "\(grid) cells along a side of \(side)")
    (self.side, self.grid) = (side, grid)
  }

  private var cell: Int { side / grid }

  /// y = the means of x                                                       x [n, C·side²], y [n, C·g²]
  func forward(_ x: Matrix, into y: Matrix) {
    let area = side * side
    for image in 0..<x.rows {
      if grid == 1 {
        for channel in 0..<y.columns {
          y[image, channel] = Elementwise.sum(x.row(image) + channel * area, count: area) / Float(area)
        }
        continue
      }
      for index in 0..<y.columns {
        let corner = corner(index)
        var sum: Float = 0
        for row in 0..<cell { sum += Elementwise.sum(x.row(image) + corner + row * side, count: cell) }
        y[image, index] = sum / Float(cell * cell)
      }
    }
  }

  /// dx = the gradient of the pixels                                        dy [n, C·g²], dx [n, C·side²]
  func backward(_ dy: Matrix, into dx: Matrix) {
    for image in 0..<dy.rows {
      for index in 0..<dy.columns {
        let (corner, d) = (corner(index), dy[image, index] / Float(cell * cell))
        for row in 0..<cell { (dx.row(image) + corner + row * side).update(repeating: d, count: cell) }
      }
    }
  }

  /// Returns the offset of a cell's first pixel.
  private func corner(_ index: Int) -> Int {
    let (channel, place) = (index / (grid * grid), index % (grid * grid))
    return (channel * side + place / grid * cell) * side + place % grid * cell
  }
}

extension ResNetPass {
  /// The traces of a batch in the trained part of a ResNet, and buffers for its backward pass.
  struct Plan: Sendable {
    private(set) var layout = Layout(alignment: 16)
    /// The images [rows, C·h·h], or the output of the frozen prefix.
    let input: Slot
    /// The stem, if it trains.
    let stem: (unit: Unit, output: Slot)?
    /// The residual blocks above the prefix, from the lowest.
    let blocks: [Block]
    /// The gradients of a block's output, input, copy and middle [rows, largest].
    let gradients: [Slot]
    let penalties: BranchPenalties.Plan?

    /// The trace of a unit: the output of its convolution and the statistics of its normalisation.
    struct Unit: Sendable {
      let output: Slot
      let statistics: ChannelNorm.Plan

      init(_ unit: BasicBlock.Unit, _ settings: PassSettings, in layout: inout Layout) {
        output = layout.add("convolution", settings.rows, unit.convolution.outputSize)
        statistics = ChannelNorm.Plan(views: settings.views, channels: unit.norm.channels, in: &layout)
      }
    }

    struct Block: Sendable {
      let first, second: Unit
      let shortcut: Unit?
      /// The outputs of the first and the second ReLU.
      let middle, output: Slot
      /// The second normalisation's output, before the addition, where a penalty asks for it.
      let branch: Slot?

      init(
        _ block: BasicBlock, _ settings: PassSettings, keepsBranch: Bool, in layout: inout Layout
      ) {
        first = Unit(block.first, settings, in: &layout)
        second = Unit(block.second, settings, in: &layout)
        var unit: Unit?
        if let shortcut = block.shortcut { unit = Unit(shortcut, settings, in: &layout) }
        shortcut = unit
        middle = layout.add("middle", settings.rows, block.first.convolution.outputSize)
        output = layout.add("output", settings.rows, block.outputSize)
        branch = keepsBranch ? layout.add("branch output", settings.rows, block.outputSize) : nil
      }
    }

    init(_ encoder: ResNet, _ settings: PassSettings) {
      let rows = settings.rows
      let blocks = encoder.layers[settings.prefix...].joined()
      var largest = blocks.map { max($0.inputSize, $0.outputSize) }.max() ?? 0
      if settings.trainsStem {
        largest = max(largest, encoder.stem.convolution.outputSize)
        input = layout.add("images", rows, encoder.shape.images.count)
        let unit = Unit(encoder.stem, settings, in: &layout)
        stem = (unit, layout.add("stem", rows, encoder.stem.convolution.outputSize))
      } else {
        input = layout.add("features", rows, encoder.featureSize(behind: settings.prefix))
        stem = nil
      }
      var traces: [Block] = []
      for layer in settings.prefix..<encoder.layers.count {
        for block in encoder.layers[layer] {
          traces.append(
            Block(block, settings, keepsBranch: settings.keepsBranches(ofBlock: layer), in: &layout))
        }
      }
      self.blocks = traces
      penalties = BranchPenalties.Plan(settings, in: &layout)
      var gradients: [Slot] = []
      for name in ["output", "input", "copy", "middle"] {
        gradients.append(layout.add("gradient of \(name)", rows, largest))
      }
      self.gradients = gradients
    }
  }
}
