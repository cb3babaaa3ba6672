/// The memory that augmentation needs beside its input and output, allocated once; one a worker.
package final class AugmentationScratch {
  /// The longest side, in pixels, of any image it is used for, input or output.
  package let longestSide: Int
  /// The largest number of channels of any image it is used for.
  package let channels: Int

  /// The image as stored, before its crop: channels x longestSide².
  let image: UnsafeMutablePointer<Float>
  /// One plane between the two passes of a separable filter: longestSide².
  let plane: UnsafeMutablePointer<Float>
  /// A row with its reflections on both sides: 3 x longestSide.
  let row: UnsafeMutablePointer<Float>
  /// The weights of a blur: 2 x longestSide.
  let kernel: UnsafeMutablePointer<Float>
  let horizontal: ResamplingFilter
  let vertical: ResamplingFilter

  /// Memory for images of up to `channels` x `longestSide` x `longestSide`.
  package init(channels: Int, longestSide: Int) {
    precondition(channels > 0 && longestSide > 0, "scratch for \(channels) x \(longestSide)²")
    self.channels = channels
    self.longestSide = longestSide
    image = .allocate(capacity: channels * longestSide * longestSide)
    plane = .allocate(capacity: longestSide * longestSide)
    row = .allocate(capacity: 3 * longestSide)
    kernel = .allocate(capacity: 2 * longestSide)
    horizontal = ResamplingFilter(longestSide: longestSide)
    vertical = ResamplingFilter(longestSide: longestSide)
  }

  deinit {
    image.deallocate()
    plane.deallocate()
    row.deallocate()
    kernel.deallocate()
  }
}
