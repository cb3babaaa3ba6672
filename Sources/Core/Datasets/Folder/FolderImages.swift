import Engine
import Foundation
import Synchronization

/// A folder's images, decoded when they are asked for.
///
/// A file that turns out to be broken, whenever that is, is noted once, and the next image of the same class that can
/// be read takes its place: both views of it are then views of one image, and no label becomes wrong. Where none is
/// left, it is grey.
final class FolderImages: ImageSource {
  private let folder: ImageFolder
  private let fit: ImageFit
  private let cache: ImageCache
  private let memoryLimit = DecoderMemoryLimit()
  private let state: Mutex<State>

  private struct State {
    var broken: [BrokenFile]
    /// Images that cannot be read.
    var unreadable: Set<Int> = []
  }

  init(_ folder: ImageFolder, _ fit: ImageFit, cache: ImageCache) {
    (self.folder, self.fit, self.cache) = (folder, fit, cache)
    state = Mutex(State(broken: folder.broken))
  }

  var count: Int { folder.files.count }
  var channels: Int { fit.channels }
  var longestSide: Int { fit.longestSide }
  var broken: [BrokenFile] { state.withLock { $0.broken.sorted() } }
  var passedOver: PassedOver { folder.passedOver }
  var unreadable: Set<Int> { state.withLock { $0.unreadable } }

  var spareBytes: Int {
    let all = folder.files.reduce(0) { $0 + fit.kept(of: $1.shape).shape.count }
    let largest = folder.files.lazy.map { $0.decodingBytes(for: self.fit) }.max() ?? 0
    return max(min(all, cache.limit) - cache.bytes, 0)
      + DecoderMemoryLimit.most(ProcessInfo.processInfo.activeProcessorCount, largest: largest)
  }

  func withImage<Result>(_ index: Int, _ body: (ImageBytes) -> Result) -> Result {
    image(index).withView(body)
  }

  func shape(of index: Int) -> ImageShape { folder.files[index].shape }

  func isFitted(to fit: ImageFit) -> Bool { fit == self.fit }

  func fitted(to fit: ImageFit) -> any ImageSource {
    FolderImages(folder, fit, cache: ImageCache(limit: cache.limit))
  }

  /// Decodes the files; what is read first stays in the cache.
  func verify(_ indices: [Int], _ workers: Workers, each: @Sendable () -> Void) {
    workers.run(indices.count) { index, _ in
      _ = own(indices[index])
      each()
    }
  }

  private func image(_ index: Int) -> DecodedImage {
    if let image = own(index) { return image }
    let label = folder.files[index].label
    for step in 1..<max(count, 1) {
      let other = (index + step) % count
      guard folder.files[other].label == label, let image = own(other) else { continue }
      return image
    }
    let shape = ImageShape(channels: fit.channels, height: fit.size, width: fit.size)
    return DecodedImage(bytes: [UInt8](repeating: 128, count: shape.count), shape: shape)
  }

  /// The image of this very file; nil where it is broken.
  private func own(_ index: Int) -> DecodedImage? {
    if let image = cache[index] { return image }
    guard state.withLock({ !$0.unreadable.contains(index) }) else { return nil }
    do {
      let image = try memoryLimit.with(folder.files[index].decodingBytes(for: fit)) { () throws(ImageFault) in
        try ImageFile.decode(folder.path(index), for: fit, Resampler())
      }
      cache.insert(image, at: index)
      return image
    } catch {
      state.withLock { state in
        guard state.unreadable.insert(index).inserted else { return }
        state.broken.append(BrokenFile(path: folder.path(index).description, reason: error.reason))
      }
      return nil
    }
  }
}
