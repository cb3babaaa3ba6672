extension Augmentation {
  /// Copies a rectangle of `image` extended by `border`, a value for each channel, to `target`.
  ///
  /// Pixel (0, 0) of the target is pixel (`top`, `left`) of the image, and may lie outside it. The target has
  /// the same number of channels and does not overlap the image.
  package static func paddedCrop(
    _ image: PlanarImage, top: Int, left: Int, border: [Float], into target: PlanarImage
  ) {
    precondition(
      target.channels == image.channels && border.count == image.channels,
      "\(image.channels) channels into \(target.channels), with a border for \(border.count)")
    // The columns of the target that lie in the image.
    let first = min(max(-left, 0), target.width)
    let last = max(min(image.width - left, target.width), first)
    for channel in 0..<image.channels {
      for y in 0..<target.height {
        let row = target.plane(channel) + y * target.width
        guard (0..<image.height).contains(y + top) else {
          row.update(repeating: border[channel], count: target.width)
          continue
        }
        row.update(repeating: border[channel], count: first)
        let source = image.plane(channel) + (y + top) * image.width
        (row + first).update(from: source + (first + left), count: last - first)
        (row + last).update(repeating: border[channel], count: target.width - last)
      }
    }
  }
}
