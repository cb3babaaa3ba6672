import Engine

/// The built-in images: ten shapes in random colours, patterns, places, sizes, angles and noise, so that
/// only the shape tells the class. They need no files and no licence.
package enum Shapes {
  /// Ten.
  package static let classes = ShapeClass.allCases.count

  /// Images 0 ..< count of the seed's training or test stream, with labels.
  ///
  /// Image i depends on the seed, the role, i, the size and the channels alone, and every ten images in
  /// order hold each class once. One channel is the luminance of the three.
  package static func generate(
    count: Int, size: Int, channels: Int, seed: UInt64, role: DataRole
  ) -> ImageSet {
    precondition(
      count >= 0 && size > 0 && (channels == 1 || channels == 3), "\(channels) x \(size) x \(size)")
    let imageSize = channels * size * size
    var labels: [Int] = []
    labels.reserveCapacity(count)
    let pixels = [UInt8](unsafeUninitializedCapacity: count * imageSize) { buffer, initialized in
      buffer.initialize(repeating: 0)
      for index in 0..<count {
        let shape = shape(of: index, seed: seed, role: role)
        let image = UnsafeMutableBufferPointer(rebasing: buffer[index * imageSize..<(index + 1) * imageSize])
        var random = RandomNumbers(seed, role == .train ? "shapes train" : "shapes test", index)
        paint(ShapeScene(shape, &random), size: size, channels: channels, into: image, &random)
        labels.append(shape.rawValue)
      }
      initialized = count * imageSize
    }
    return ImageSet(
      pixels: pixels, count: count, channels: channels, size: size, labels: labels, classes: classes)
  }

  /// The classes are shuffled within each ten, so that no regular choice of indices favours one.
  private static func shape(of index: Int, seed: UInt64, role: DataRole) -> ShapeClass {
    var random = RandomNumbers(
      seed, role == .train ? "shapes train order" : "shapes test order", index / classes)
    return ShapeClass.allCases.shuffled(using: &random)[index % classes]
  }

  private static func paint(
    _ scene: ShapeScene, size: Int, channels: Int, into image: UnsafeMutableBufferPointer<UInt8>,
    _ random: inout RandomNumbers
  ) {
    let (pixel, area) = (1 / Float(size), size * size)
    for row in 0..<size {
      let y = (Float(row) + 0.5) * pixel - 0.5
      for column in 0..<size {
        let x = (Float(column) + 0.5) * pixel - 0.5
        let colour = scene.colour(x, y, pixel: pixel) + noise(&random) * scene.noise
        let position = row * size + column
        guard channels == 3 else {
          image[position] = byte(ShapePaint.luminance(of: colour))
          continue
        }
        image[position] = byte(colour.x)
        image[area + position] = byte(colour.y)
        image[2 * area + position] = byte(colour.z)
      }
    }
  }

  /// Three numbers in -1 … 1 with a triangular distribution: each the sum of two of 10 bits.
  @inline(__always)
  private static func noise(_ random: inout RandomNumbers) -> SIMD3<Float> {
    let bits = random.next()
    func sum(_ shift: UInt64) -> Float {
      Float((bits >> shift) & 1023) + Float((bits >> (shift + 10)) & 1023)
    }
    return SIMD3(sum(0), sum(20), sum(40)) / 1023 - 1
  }

  @inline(__always)
  private static func byte(_ value: Float) -> UInt8 {
    UInt8(min(max(value, 0), 1) * 255 + 0.5)
  }
}
