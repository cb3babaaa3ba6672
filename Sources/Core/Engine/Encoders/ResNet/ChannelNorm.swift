/// Batch normalisation of the channels of images (arXiv 1502.03167): y = x̂ ⊙ w + b, with the statistics of a view's
/// images in training and with running statistics otherwise.
///
/// n images of C channels of A pixels; an image is a row [C·A].
package struct ChannelNorm: Sendable {
  package let weight, bias, runningMean, runningVariance: Slot
  package let channels, area: Int
  package static let epsilon: Float = 1e-5
  /// The share of a running statistic that a batch replaces, as in PyTorch.
  package static let pace: Float = 0.1

  /// Adds `name.weight`, `name.bias`, `name.running_mean` and `name.running_var`.
  package init(_ name: String, channels: Int, area: Int, in layout: inout Layout) {
    weight = layout.add("\(name).weight", channels)
    bias = layout.add("\(name).bias", channels)
    runningMean = layout.add("\(name).running_mean", channels, isBuffer: true)
    runningVariance = layout.add("\(name).running_var", channels, isBuffer: true)
    (self.channels, self.area) = (channels, area)
  }

  /// The statistics of one view, [1, C] each: mean, variance and 1 / √(variance + ε).
  package struct Statistics {
    package let mean, variance, scale: Matrix
  }

  /// The slots of the statistics of a number of views.
  package struct Plan: Sendable {
    private let mean, variance, scale: Slot

    package init(views: Int, channels: Int, in layout: inout Layout) {
      mean = layout.add("mean", views, channels)
      variance = layout.add("variance", views, channels)
      scale = layout.add("scale", views, channels)
    }

    package func statistics(_ storage: borrowing Storage, view: Int) -> Statistics {
      let rows = view..<view + 1
      return Statistics(
        mean: storage[mean].rows(rows), variance: storage[variance].rows(rows),
        scale: storage[scale].rows(rows))
    }
  }

  /// Computes the statistics of one channel over one view's images x [n, C·A].
  package func measure(_ x: Matrix, channel: Int, into statistics: Statistics) {
    let count = Float(x.rows * area)
    var sum: Float = 0
    for image in 0..<x.rows { sum += Elementwise.sum(x.row(image) + channel * area, count: area) }
    let mean = sum / count
    var square: Float = 0
    for image in 0..<x.rows {
      let pixels = x.row(image) + channel * area
      for index in 0..<area { square += (pixels[index] - mean) * (pixels[index] - mean) }
    }
    statistics.mean[0, channel] = mean
    statistics.variance[0, channel] = square / count
    statistics.scale[0, channel] = 1 / (square / count + Self.epsilon).squareRoot()
  }

  /// y = x̂ ⊙ w + b with a view's statistics.                            x, y [n, C·A]; y may be x.
  package func forward(
    _ x: Matrix, into y: Matrix, _ statistics: Statistics, _ parameters: borrowing Storage
  ) {
    for channel in 0..<channels {
      let factor = parameters[weight][0, channel] * statistics.scale[0, channel]
      let shift = parameters[bias][0, channel] - statistics.mean[0, channel] * factor
      scale(x, into: y, channel, factor, shift)
    }
  }

  /// Computes the same with the running statistics, for a frozen layer or a finished encoder.
  package func forward(_ x: Matrix, into y: Matrix, _ parameters: borrowing Storage) {
    for channel in 0..<channels {
      let deviation = (parameters[runningVariance][0, channel] + Self.epsilon).squareRoot()
      let factor = parameters[weight][0, channel] / deviation
      let shift = parameters[bias][0, channel] - parameters[runningMean][0, channel] * factor
      scale(x, into: y, channel, factor, shift)
    }
  }

  private func scale(_ x: Matrix, into y: Matrix, _ channel: Int, _ factor: Float, _ shift: Float) {
    for image in 0..<x.rows {
      let (from, to) = (x.row(image) + channel * area, y.row(image) + channel * area)
      Elementwise.sweep(area) {
        (Vector.load(from + $0) * factor + shift).store(to + $0)
      } scalar: {
        to[$0] = from[$0] * factor + shift
      }
    }
  }

  /// dx = scale·w (dy - mean dy - x̂ mean(dy ⊙ x̂)) of one channel of one view, in place;
  /// dw += Σ dy ⊙ x̂,  db += Σ dy.                                            x, dy [n, C·A]
  package func backward(
    _ dy: Matrix, input x: Matrix, channel: Int, _ statistics: Statistics, _ parameters: borrowing Storage,
    _ gradients: borrowing Storage
  ) {
    let (mean, scale) = (statistics.mean[0, channel], statistics.scale[0, channel])
    var (sum, product): (Float, Float) = (0, 0)
    for image in 0..<dy.rows {
      let (pixels, d) = (x.row(image) + channel * area, dy.row(image) + channel * area)
      for index in 0..<area {
        sum += d[index]
        product += d[index] * (pixels[index] - mean) * scale
      }
    }
    if !gradients.isEmpty {
      gradients[weight][0, channel] += product
      gradients[bias][0, channel] += sum
    }
    let count = Float(dy.rows * area)
    let (shift, correlation) = (sum / count, product / count)
    let factor = scale * parameters[weight][0, channel]
    for image in 0..<dy.rows {
      let (pixels, d) = (x.row(image) + channel * area, dy.row(image) + channel * area)
      for index in 0..<area {
        d[index] = factor * (d[index] - shift - (pixels[index] - mean) * scale * correlation)
      }
    }
  }

  /// Updates the running statistics with a view's statistics of `count` values per channel; the running variance is the
  /// unbiased one.
  package func update(_ parameters: borrowing Storage, _ statistics: Statistics, count: Int) {
    let correction = Float(count) / Float(max(count - 1, 1))
    Elementwise.blend(statistics.mean, into: parameters[runningMean], keeping: 1 - Self.pace)
    for channel in 0..<channels {
      let old = parameters[runningVariance][0, channel]
      parameters[runningVariance][0, channel] =
        old + Self.pace * (statistics.variance[0, channel] * correction - old)
    }
  }
}
