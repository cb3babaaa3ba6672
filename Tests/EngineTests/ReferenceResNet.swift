import Engine

/// A ResNet in Double, written to be obviously correct. In this precision differences equal derivatives, and no step is
/// so long that a ReLU switches.
struct ReferenceResNet {
  /// The parameters by name.
  var parameters: [String: [Double]]
  let encoder: ResNet
  let views: Int

  /// Images of one size, [count][channels · side · side].
  struct Maps {
    var values: [[Double]]
    let channels, side: Int
  }

  /// The pooled features of a batch [rows][F].
  func pooled(_ images: [[Double]]) -> [[Double]] { run(images).pooled }

  /// The pooled features of a batch [rows][F] and the outputs of its residual branches, one a block [rows][C·h·h].
  func run(_ images: [[Double]]) -> (pooled: [[Double]], branches: [[[Double]]]) {
    var branches: [[[Double]]] = []
    let c = encoder.shape.images
    var x = Maps(values: images, channels: c.channels, side: c.side)
    x = relu(unit(x, "conv1", "bn1", encoder.stem))
    for (index, layer) in encoder.layers.enumerated() {
      for (number, block) in layer.enumerated() {
        let name = "layer\(index + 1).\(number)"
        let middle = relu(unit(x, "\(name).conv1", "\(name).bn1", block.first))
        let y = unit(middle, "\(name).conv2", "\(name).bn2", block.second)
        branches.append(y.values)
        let added = block.shortcut.map { unit(x, "\(name).downsample.0", "\(name).downsample.1", $0) } ?? x
        x = relu(
          Maps(
            values: zip(y.values, added.values).map { zip($0, $1).map(+) }, channels: y.channels, side: y.side
          ))
      }
    }
    let area = x.side * x.side
    let pooled = x.values.map { image in
      (0..<x.channels).map { image[$0 * area..<($0 + 1) * area].reduce(0, +) / Double(area) }
    }
    return (pooled, branches)
  }

  private func relu(_ x: Maps) -> Maps {
    Maps(values: x.values.map { $0.map { max($0, 0) } }, channels: x.channels, side: x.side)
  }

  private func unit(_ x: Maps, _ convolution: String, _ norm: String, _ unit: BasicBlock.Unit) -> Maps {
    normalise(convolve(x, parameters["\(convolution).weight"] ?? [], unit.convolution), norm)
  }

  private func convolve(_ x: Maps, _ weights: [Double], _ c: Convolution) -> Maps {
    let (k, side) = (c.kernel, c.outputSide)
    let values = x.values.map { image in
      var out = [Double](repeating: 0, count: c.outputSize)
      for o in 0..<c.outputs {
        for row in 0..<side {
          for column in 0..<side {
            var sum = 0.0
            for i in 0..<c.inputs {
              for dy in 0..<k {
                for dx in 0..<k {
                  let (y, z) = (row * c.stride + dy - k / 2, column * c.stride + dx - k / 2)
                  guard (0..<x.side).contains(y), (0..<x.side).contains(z) else { continue }
                  sum +=
                    weights[((o * c.inputs + i) * k + dy) * k + dx] * image[(i * x.side + y) * x.side + z]
                }
              }
            }
            out[(o * side + row) * side + column] = sum
          }
        }
      }
      return out
    }
    return Maps(values: values, channels: c.outputs, side: side)
  }

  private func normalise(_ x: Maps, _ name: String) -> Maps {
    var result = x
    let (area, batch) = (x.side * x.side, x.values.count / views)
    let (weights, biases) = (parameters["\(name).weight"] ?? [], parameters["\(name).bias"] ?? [])
    for view in 0..<views {
      for channel in 0..<x.channels {
        let places = channel * area..<(channel + 1) * area
        let images = view * batch..<(view + 1) * batch
        let count = Double(batch * area)
        let mean = images.reduce(0.0) { $0 + x.values[$1][places].reduce(0, +) } / count
        let variance =
          images.reduce(0.0) { sum, image in
            sum + x.values[image][places].reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
          } / count
        let scale = weights[channel] / (variance + Double(ChannelNorm.epsilon)).squareRoot()
        for image in images {
          for place in places {
            result.values[image][place] = (x.values[image][place] - mean) * scale + biases[channel]
          }
        }
      }
    }
    return result
  }
}
