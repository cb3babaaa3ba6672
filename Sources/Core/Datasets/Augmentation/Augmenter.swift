import Engine

/// Makes the augmented views for training and the plain images for evaluation.
///
/// The order is that of SimCLR and MoCo v3: crop, flip, colour jitter, grayscale, blur, solarize, normalise.
/// With ``AugmentationSettings/padding`` the crop is one of the padded image.
package struct Augmenter: Sendable {
  /// The settings passed to the initializer.
  package let settings: AugmentationSettings
  /// The output size H = W in pixels; input images may have any size.
  package let size: Int
  /// The number of input and output channels C, 1 or 3.
  package let channels: Int

  private let crop: CropSampler
  private let blurKernel: Int
  /// The padding of each channel, which normalisation makes 0.
  private let border: [Float]
  /// Per channel; a normalised value is (x - mean) · scale.
  private let mean: [Float]
  private let scale: [Float]

  /// Creates an augmenter for settings checked by the plan, and views of `channels` x `size` x `size`.
  package init(_ settings: AugmentationSettings, for encoder: EncoderConfiguration) {
    let images = encoder.input.images
    self.init(settings, size: images.side, channels: images.channels)
  }

  /// Creates an augmenter for views of `channels` x `size` x `size`. Without `normalises`, values stay in 0 …
  /// 1.
  package init(_ settings: AugmentationSettings, size: Int, channels: Int, normalises: Bool = true) {
    precondition(size > 0 && (channels == 1 || channels == 3), "\(channels) x \(size) x \(size)")
    precondition(
      settings.blur.count == 2 && settings.solarize.count == 2,
      "\(settings.blur) and \(settings.solarize) for two views")
    precondition(
      [1, channels].contains(settings.mean.count) && [1, channels].contains(settings.deviation.count),
      "a mean of \(settings.mean) and a deviation of \(settings.deviation) for \(channels) channels")
    precondition(settings.padding >= 0, "a padding of \(settings.padding) pixels")
    let kernel = settings.blurKernel(forSize: size)
    precondition(
      kernel > 0 && kernel % 2 == 1 && kernel <= AugmentationSettings.largestKernel(forSize: size),
      "a blur of kernel \(kernel) of \(size) x \(size)")
    self.settings = settings
    self.size = size
    self.channels = channels
    crop = CropSampler(area: settings.cropArea, ratio: settings.cropRatio)
    blurKernel = kernel
    border = (0..<channels).map { settings.mean[min($0, settings.mean.count - 1)] }
    mean = normalises ? border : [Float](repeating: 0, count: channels)
    scale = (0..<channels).map {
      normalises ? 1 / settings.deviation[min($0, settings.deviation.count - 1)] : 1
    }
  }

  /// The augmenter of local views; nil without any.
  var local: Augmenter? {
    guard let crops = settings.crops, let settings = settings.local else { return nil }
    return Augmenter(settings, size: crops.size, channels: channels)
  }

  /// Returns scratch for one worker that makes views of these images.
  package func makeScratch(for images: ImageSet) -> AugmentationScratch {
    AugmentationScratch(channels: channels, longestSide: max(size, images.size), size: size)
  }

  /// Writes view 0 or 1 of an image, normalised, [C, size, size]. All random choices are drawn from `random`.
  package func view(
    _ view: Int, of set: ImageSet, index: Int, random: inout RandomNumbers,
    into target: UnsafeMutablePointer<Float>, scratch: AugmentationScratch
  ) {
    precondition(view == 0 || view == 1, "view \(view)")
    requireFit(set)
    precondition(
      scratch.longestSide >= max(size, set.size) && scratch.size >= size && scratch.channels >= channels,
      "scratch for \(scratch.channels) x \(scratch.longestSide)², images of \(channels) x \(set.size)²")
    let image = PlanarImage(target, channels: channels, height: size, width: size)
    if settings.padding > 0 {
      cropPadded(set, index, &random, into: image, scratch)
    } else {
      set.withImage(index) { source in
        let rectangle = crop.draw(height: source.shape.height, width: source.shape.width, &random)
        Augmentation.resizedCrop(
          source, rectangle, isMirrored: random.chance(settings.flip), into: image, scratch: scratch)
      }
    }
    if random.chance(settings.jitter) { jitter(image, &random) }
    if random.chance(settings.grayscale) { Augmentation.grayscale(image) }
    if random.chance(settings.blur[view]) {
      let sigma = random.uniform(settings.blurSigma.lowerBound, settings.blurSigma.upperBound)
      Augmentation.gaussianBlur(image, kernel: blurKernel, sigma: sigma, scratch: scratch)
    }
    if random.chance(settings.solarize[view]) {
      Augmentation.solarize(image, threshold: settings.solarizeThreshold)
    }
    normalise(image)
  }

  /// Writes an image without augmentation, normalised, [C, size, size]; images that are not square are cropped to their
  /// central square.
  package func plain(_ set: ImageSet, index: Int, into target: UnsafeMutablePointer<Float>) {
    requireFit(set)
    set.copySquare(index, size: size, into: target)
    normalise(PlanarImage(target, channels: channels, height: size, width: size))
  }

  /// Writes a random crop of the padded image, maybe flipped, drawn uniformly from its (2 · padding + 1)² crops of size x
  /// size. An image of another size is first scaled as in ``plain(_:index:into:)``.
  private func cropPadded(
    _ set: ImageSet, _ index: Int, _ random: inout RandomNumbers, into image: PlanarImage,
    _ scratch: AugmentationScratch
  ) {
    set.copySquare(index, size: size, into: scratch.image, scratch.resampler)
    let source = PlanarImage(scratch.image, channels: channels, height: size, width: size)
    let (padding, places) = (settings.padding, 2 * settings.padding + 1)
    let top = random.below(places) - padding
    let left = random.below(places) - padding
    Augmentation.paddedCrop(source, top: top, left: left, border: border, into: image)
    if random.chance(settings.flip) { Augmentation.horizontalFlip(image) }
  }

  /// Applies torchvision's `ColorJitter`: the four factors, in random order.
  private func jitter(_ image: PlanarImage, _ random: inout RandomNumbers) {
    var order = SIMD4<Int32>(0, 1, 2, 3)
    for last in stride(from: 3, to: 0, by: -1) {
      let other = random.below(last + 1)
      (order[last], order[other]) = (order[other], order[last])
    }
    let brightness = factor(settings.brightness, &random)
    let contrast = factor(settings.contrast, &random)
    let saturation = factor(settings.saturation, &random)
    let hue = random.uniform(-settings.hue, settings.hue)
    for position in 0..<4 {
      switch order[position] {
      case 0: Augmentation.brightness(image, factor: brightness)
      case 1: Augmentation.contrast(image, factor: contrast)
      case 2: Augmentation.saturation(image, factor: saturation)
      default: Augmentation.hue(image, factor: hue)
      }
    }
  }

  private func factor(_ strength: Float, _ random: inout RandomNumbers) -> Float {
    random.uniform(max(1 - strength, 0), 1 + strength)
  }

  private func normalise(_ image: PlanarImage) {
    for channel in 0..<channels {
      let (plane, mean, scale) = (image.plane(channel), mean[channel], scale[channel])
      for i in 0..<image.area { plane[i] = (plane[i] - mean) * scale }
    }
  }

  private func requireFit(_ set: ImageSet) {
    precondition(
      set.channels == channels, "images of \(set.channels) channels for an augmenter of \(channels)")
  }
}

/// The elementary operations on images of floats in 0 … 1, as torchvision defines them for tensors.
///
/// The functions work on views and allocate nothing; they take temporary memory from an ``AugmentationScratch``.
package enum Augmentation {
  /// An operation with fixed parameters, for callers that hold an image as an array.
  package enum Operation: Sendable, Hashable {
    /// The factor is torchvision's, also in the next two cases: 1 changes nothing.
    case brightness(factor: Float)
    case contrast(factor: Float)
    case saturation(factor: Float)
    /// Rotates the hue by a share of the colour circle, -0.5 … 0.5.
    case hue(factor: Float)
    case grayscale
    case horizontalFlip
    case solarize(threshold: Float)
    /// The side of the kernel and sigma, in pixels.
    case gaussianBlur(kernel: Int, sigma: Float)
    /// A rectangle in pixels, scaled to size x size.
    case resizedCrop(top: Int, left: Int, height: Int, width: Int, size: Int)
  }

  /// Returns a copy of the image after the operation: [C, H, W], or [C, size, size] after a resized crop.
  ///
  /// It allocates scratch on each call, so use it for tests and conformance, not for training.
  package static func apply(
    _ operation: Operation, to image: [Float], channels: Int, height: Int, width: Int
  ) -> [Float] {
    precondition(
      image.count == channels * height * width,
      "\(image.count) numbers for \(channels) x \(height) x \(width)")
    var copy = image
    return copy.withUnsafeMutableBufferPointer { buffer in
      let view = PlanarImage(buffer.baseAddress!, channels: channels, height: height, width: width)
      guard case .resizedCrop(let top, let left, let cropHeight, let cropWidth, let size) = operation else {
        let scratch = AugmentationScratch(channels: channels, longestSide: max(height, width))
        apply(operation, to: view, scratch)
        return Array(buffer)
      }
      let scratch = AugmentationScratch(channels: channels, longestSide: max(height, width, size))
      let count = channels * size * size
      return [Float](unsafeUninitializedCapacity: count) { output, initialized in
        output.initialize(repeating: 0)
        let target = PlanarImage(output.baseAddress!, channels: channels, height: size, width: size)
        let crop = Crop(top: top, left: left, height: cropHeight, width: cropWidth)
        resizedCrop(view, crop, into: target, scratch: scratch)
        initialized = count
      }
    }
  }

  private static func apply(
    _ operation: Operation, to image: PlanarImage, _ scratch: AugmentationScratch
  ) {
    switch operation {
    case .brightness(let factor): brightness(image, factor: factor)
    case .contrast(let factor): contrast(image, factor: factor)
    case .saturation(let factor): saturation(image, factor: factor)
    case .hue(let factor): hue(image, factor: factor)
    case .grayscale: grayscale(image)
    case .horizontalFlip: horizontalFlip(image)
    case .solarize(let threshold): solarize(image, threshold: threshold)
    case .gaussianBlur(let kernel, let sigma):
      gaussianBlur(image, kernel: kernel, sigma: sigma, scratch: scratch)
    case .resizedCrop: preconditionFailure("a resized crop does not work in place")
    }
  }
}

/// The temporary memory of augmentation, allocated once per worker.
package final class AugmentationScratch {
  /// The longest side, in pixels, of all input and output images.
  package let longestSide: Int
  /// The largest number of channels of all input and output images.
  package let channels: Int

  /// The longest side of an image after its crop.
  let size: Int
  /// An image before it is padded: channels x size².
  let image: UnsafeMutablePointer<Float>
  /// One plane between the two passes of a separable filter: longestSide x size.
  let plane: UnsafeMutablePointer<Float>
  /// A row with its reflections on both sides: 3 x size.
  let row: UnsafeMutablePointer<Float>
  /// The weights of a blur: 2 x size.
  let kernel: UnsafeMutablePointer<Float>
  /// The value of each byte: byte / 255.
  let levels: UnsafeMutablePointer<Float>
  let tile: SeparableResize.Tile
  let horizontal: ResamplingFilter
  let vertical: ResamplingFilter
  /// For images that are scaled as bytes.
  let resampler = Resampler()

  /// Allocates scratch for images of up to `channels` x `longestSide` x `longestSide` that are cropped and scaled to at
  /// most `size` x `size`; nil: to any size that they have.
  package init(channels: Int, longestSide: Int, size: Int? = nil) {
    let size = size ?? longestSide
    precondition(
      channels > 0 && size > 0 && size <= longestSide, "scratch for \(channels) x \(longestSide)²")
    (self.channels, self.longestSide, self.size) = (channels, longestSide, size)
    image = .allocate(capacity: channels * size * size)
    plane = .allocate(capacity: longestSide * size)
    row = .allocate(capacity: 3 * size)
    kernel = .allocate(capacity: 2 * size)
    levels = .allocate(capacity: 256)
    for byte in 0..<256 { levels[byte] = Float(byte) / 255 }
    tile = SeparableResize.Tile(longestSide: longestSide)
    horizontal = ResamplingFilter(longestSide: longestSide)
    vertical = ResamplingFilter(longestSide: longestSide)
  }

  deinit {
    image.deallocate()
    plane.deallocate()
    row.deallocate()
    kernel.deallocate()
    levels.deallocate()
  }
}

/// The two augmented views of every image of a set, and its local views behind them, as input for a trainer.
///
/// A view depends only on the seed, the epoch, the image and the view.
package final class AugmentedViews: RowSource {
  private let images: ImageSet
  private let augmenter: Augmenter
  private let local: Augmenter?
  package let seed: UInt64
  private let scratches: [AugmentationScratch]

  /// Creates views for trainers of at most `workers` workers. The images must have the augmenter's channels.
  package init(_ images: ImageSet, _ augmenter: Augmenter, seed: UInt64, workers: Int) {
    self.images = images
    (self.augmenter, local) = (augmenter, augmenter.local)
    self.seed = RandomNumbers.derive(seed, "views")
    scratches = (0..<workers).map { _ in augmenter.makeScratch(for: images) }
  }

  package var count: Int { images.count }
  package var labels: [Int]? { images.labels }

  package func write(
    view: Int, image: Int, epoch: Int, worker: Int, into pixels: UnsafeMutablePointer<Float>
  ) {
    var random = RandomNumbers(seed, "view", epoch, image, view)
    if view > 1, let local {
      return local.view(
        0, of: images, index: image, random: &random, into: pixels, scratch: scratches[worker])
    }
    augmenter.view(
      view, of: images, index: image, random: &random, into: pixels, scratch: scratches[worker])
  }
}
