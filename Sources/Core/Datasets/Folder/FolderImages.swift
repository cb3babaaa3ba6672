import Engine
import Foundation
import Synchronization

/// The images of a folder, decoded on demand.
///
/// A broken file is recorded once, and the next readable image of the same class replaces it, so that both views come
/// from one image and no label is wrong. If there is none, a grey image replaces it.
final class FolderImages: ImageSource {
  private let folder: ImageFolder
  private let fit: ImageFit
  private let cache: ImageCache
  private let memoryLimit = DecoderMemoryLimit()
  private let state: Mutex<State>

  private struct State {
    var broken: [BrokenFile]
    /// The indices of images that cannot be read.
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

  func path(of index: Int) -> String? { folder.path(index).description }
  func shape(of index: Int) -> ImageShape { folder.files[index].shape }

  func isFitted(to fit: ImageFit) -> Bool { fit == self.fit }

  func fitted(to fit: ImageFit) -> any ImageSource {
    FolderImages(folder, fit, cache: ImageCache(limit: cache.limit))
  }

  /// Decodes the files; the cache keeps the first ones.
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

  /// Returns the image of this file, without a replacement; nil if it is broken.
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

/// The files of a folder whose names are not those of images, counted by extension.
package struct PassedOver: Sendable, Hashable {
  /// The number of files with an extension.
  package struct Ending: Sendable, Codable, Hashable {
    /// The extension in lower case, such as `.webp`; or `others`.
    package let ending: String
    /// The number of files.
    package let count: Int
  }

  private var counts: [String: Int] = [:]

  /// The maximum number of extensions, which bounds the memory.
  private static let mostEndings = 100
  /// The maximum length of an extension; a longer one is a dot within a name.
  private static let longest = 10
  /// The number of extensions that a summary names.
  private static let named = 5

  /// The extensions, the most frequent first.
  package var endings: [Ending] {
    counts.map { Ending(ending: $0, count: $1) }.sorted { ($1.count, $0.ending) < ($0.count, $1.ending) }
  }

  /// One line about the files; nil if there are none.
  package var summary: String? {
    let files = counts.values.reduce(0, +)
    guard files > 0 else { return nil }
    let all = endings
    let names = all.prefix(Self.named).map { "\($0.count) \($0.ending)" }.joined(separator: ", ")
    let rest = all.dropFirst(Self.named).reduce(0) { $0 + $1.count }
    return (files == 1 ? "1 file is ignored: " : "\(files) files are ignored: ") + names
      + (rest > 0 ? " and \(rest) more" : "")
  }

  mutating func count(_ name: FilePath) {
    let ending = Self.ending(of: name) ?? "others"
    counts[counts[ending] != nil || counts.count < Self.mostEndings ? ending : "others", default: 0] += 1
  }

  /// Returns the extension of a name; nil if it has none.
  private static func ending(of name: FilePath) -> String? {
    guard let point = name.bytes.lastIndex(of: UInt8(ascii: ".")) else { return nil }
    let ending = String(decoding: name.bytes[point...], as: UTF8.self).lowercased()
    guard (2...longest).contains(ending.utf8.count),
      ending.dropFirst().utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) })
    else { return nil }
    return ending
  }
}

/// A cache of decoded images with bounded memory.
///
/// Training visits all images in a new random order each epoch. With such an order, an LRU cache would have few hits,
/// so three quarters of the memory keep the first images permanently. The last quarter keeps the most recent images,
/// because the second view of an image follows the first within the batch. If all images fit, none is evicted.
final class ImageCache: Sendable {
  /// The maximum memory in bytes of pixels.
  let limit: Int
  private let state = Mutex(State())

  private struct State {
    var images: [Int: DecodedImage] = [:]
    var pinnedBytes = 0
    /// The most recent images that are not kept permanently, the oldest first, starting at `oldest`.
    var latest: [Int] = []
    var oldest = 0
    var latestBytes = 0

    mutating func makeRoom(for size: Int, of limit: Int) {
      while latestBytes + size > limit {
        if let image = images.removeValue(forKey: latest[oldest]) { latestBytes -= image.bytes.count }
        oldest += 1
      }
      // The entries of evicted images are removed in bulk, so that each entry is moved about once.
      guard oldest > latest.count / 2 else { return }
      latest.removeFirst(oldest)
      oldest = 0
    }
  }

  init(limit: Int) {
    precondition(limit >= 0, "a cache of \(limit) bytes")
    self.limit = limit
  }

  /// The memory in use, in bytes of pixels.
  var bytes: Int { state.withLock { $0.pinnedBytes + $0.latestBytes } }

  subscript(index: Int) -> DecodedImage? { state.withLock { $0.images[index] } }

  /// Inserts an image, permanently or until it is evicted.
  func insert(_ image: DecodedImage, at index: Int) {
    let size = image.bytes.count
    let kept = limit - limit / 4
    state.withLock { state in
      guard state.images[index] == nil else { return }
      if state.pinnedBytes + size <= kept {
        state.pinnedBytes += size
      } else {
        guard size <= limit - kept else { return }
        state.makeRoom(for: size, of: limit - kept)
        state.latest.append(index)
        state.latestBytes += size
      }
      state.images[index] = image
    }
  }
}
