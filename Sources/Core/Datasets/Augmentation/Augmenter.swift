import Engine

/// Makes the views that training compares and the plain images that evaluation sees.
///
/// The order is that of SimCLR and MoCo v3: crop, flip, colour jitter, grayscale, blur, solarize, normalise.
package struct Augmenter: Sendable {
  /// As they were given.
  package let settings: AugmentationSettings
  /// H = W of what it writes, in pixels; it takes images of any size.
  package let size: Int
  /// C of what it writes and of what it takes, 1 or 3.
  package let channels: Int

  private let crop: CropSampler
  private let blurKernel: Int
  /// Per channel: a normalised number is (x - mean) · scale.
  private let mean: [Float]
  private let scale: [Float]

  /// For settings that a plan's checks have passed, and views of `channels` x `size` x `size`.
  package init(_ settings: AugmentationSettings, for encoder: EncoderConfiguration) {
    let images = encoder.input.images
    self.init(settings, size: images.side, channels: images.channels)
  }

  /// For images of `channels` x `size` x `size`.
  package init(_ settings: AugmentationSettings, size: Int, channels: Int) {
    precondition(size > 0 && (channels == 1 || channels == 3), "\(channels) x \(size) x \(size)")
    precondition(
      settings.blur.count == 2 && settings.solarize.count == 2,
      "\(settings.blur) and \(settings.solarize) for two views")
    precondition(
      [1, channels].contains(settings.mean.count) && [1, channels].contains(settings.deviation.count),
      "a mean of \(settings.mean) and a deviation of \(settings.deviation) for \(channels) channels")
    let kernel = settings.blurKernel(forSize: size)
    precondition(
      kernel > 0 && kernel % 2 == 1 && kernel <= AugmentationSettings.largestKernel(forSize: size),
      "a blur of kernel \(kernel) of \(size) x \(size)")
    self.settings = settings
    self.size = size
    self.channels = channels
    crop = CropSampler(area: settings.cropArea, ratio: settings.cropRatio)
    blurKernel = kernel
    mean = (0..<channels).map { settings.mean[min($0, settings.mean.count - 1)] }
    scale = (0..<channels).map { 1 / settings.deviation[min($0, settings.deviation.count - 1)] }
  }

  /// Scratch for one worker that makes views of these images.
  package func makeScratch(for images: ImageSet) -> AugmentationScratch {
    AugmentationScratch(channels: channels, longestSide: max(size, images.size))
  }

  /// Writes view 0 or 1 of an image, normalised, [C, size, size]; every choice is drawn from `random`.
  package func view(
    _ view: Int, of set: ImageSet, index: Int, random: inout RandomNumbers,
    into target: UnsafeMutablePointer<Float>, scratch: AugmentationScratch
  ) {
    precondition(view == 0 || view == 1, "view \(view)")
    requireFit(set)
    precondition(
      scratch.longestSide >= max(size, set.size) && scratch.channels >= channels,
      "scratch for \(scratch.channels) x \(scratch.longestSide)², images of \(channels) x \(set.size)²")
    let shape = set.copyImage(index, into: scratch.image)
    let source = PlanarImage(scratch.image, channels: channels, height: shape.height, width: shape.width)
    let image = PlanarImage(target, channels: channels, height: size, width: size)
    let rectangle = crop.draw(height: shape.height, width: shape.width, &random)
    Augmentation.resizedCrop(source, rectangle, into: image, scratch: scratch)
    if random.chance(settings.flip) { Augmentation.horizontalFlip(image) }
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

  /// Writes an image without augmentation, its central square where it is not one, normalised,
  /// [C, size, size].
  package func plain(_ set: ImageSet, index: Int, into target: UnsafeMutablePointer<Float>) {
    requireFit(set)
    set.copySquare(index, size: size, into: target)
    normalise(PlanarImage(target, channels: channels, height: size, width: size))
  }

  /// torchvision's `ColorJitter`: the four factors, applied in random order.
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
