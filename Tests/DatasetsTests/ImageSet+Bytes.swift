import Datasets

extension ImageSet {
  /// Returns an image's bytes, planar.
  func bytes(_ index: Int) -> [UInt8] { withImage(index) { Array($0.bytes) } }
  func shape(_ index: Int) -> ImageShape { withImage(index) { $0.shape } }
}
