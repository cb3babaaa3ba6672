import Engine

/// A ResNet's way from images to the means of its last layer's channels (arXiv 1512.03385), with running
/// statistics.
///
/// n images (any number), C channels, H = side.
extension EncoderGraph {
  /// Channels' means [n, F] from images [n, C, H, H].
  mutating func add(_ encoder: ResNet, _ images: String) -> String {
    var x = relu(add(encoder.stem, images))
    for block in encoder.layers.joined() { x = add(block, x) }
    graph.scope = "pool"
    return graph.add(.flatten, graph.add(.globalAveragePool, x))
  }

  /// relu(second(relu(first(x))) + shortcut(x)).
  private mutating func add(_ block: BasicBlock, _ x: String) -> String {
    let middle = relu(add(block.first, x))
    let y = add(block.second, middle)
    var shortcut = x
    if let unit = block.shortcut { shortcut = add(unit, x) }
    return relu(graph.add(.add, y, shortcut))
  }

  private mutating func relu(_ x: String) -> String { graph.add(.relu, x) }

  /// A convolution and the normalisation behind it.
  private mutating func add(_ unit: BasicBlock.Unit, _ x: String) -> String {
    let (convolution, norm) = (unit.convolution, unit.norm)
    enter(convolution.weight)
    let y = graph.add(
      .conv, x, name(convolution.weight),
      attributes: [
        .integers("kernel_shape", [convolution.kernel, convolution.kernel]),
        .integers("strides", [convolution.stride, convolution.stride]),
        .integers("pads", Array(repeating: convolution.kernel / 2, count: 4)),
      ])
    enter(norm.weight)
    return graph.add(
      .batchNormalization, y, name(norm.weight), name(norm.bias), name(norm.runningMean),
      name(norm.runningVariance), attributes: [.float("epsilon", ChannelNorm.epsilon)])
  }
}
