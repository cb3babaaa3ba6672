extension ResNetPass {
  /// What the trained part of a ResNet keeps of a batch for its way back, and buffers for the way.
  struct Plan: Sendable {
    private(set) var layout = Layout(alignment: 16)
    /// Images [rows, C·h·h], or what the frozen part makes of them.
    let input: Slot
    /// The stem, where it trains.
    let stem: (unit: Unit, output: Slot)?
    /// One a residual block above the prefix, from the lowest.
    let blocks: [Block]
    /// Gradients of a block's output, input, copy and middle [rows, largest].
    let gradients: [Slot]

    /// What a unit keeps: its convolution's output and its normalisation's statistics.
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
      /// Behind the first ReLU, and behind the second.
      let middle, output: Slot

      init(_ block: BasicBlock, _ settings: PassSettings, in layout: inout Layout) {
        first = Unit(block.first, settings, in: &layout)
        second = Unit(block.second, settings, in: &layout)
        var unit: Unit?
        if let shortcut = block.shortcut { unit = Unit(shortcut, settings, in: &layout) }
        shortcut = unit
        middle = layout.add("middle", settings.rows, block.first.convolution.outputSize)
        output = layout.add("output", settings.rows, block.outputSize)
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
      for block in blocks { traces.append(Block(block, settings, in: &layout)) }
      self.blocks = traces
      var gradients: [Slot] = []
      for name in ["output", "input", "copy", "middle"] {
        gradients.append(layout.add("gradient of \(name)", rows, largest))
      }
      self.gradients = gradients
    }
  }
}
