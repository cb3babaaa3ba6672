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

/// Files of a folder that are not called as images are, counted by how their names end.
package struct PassedOver: Sendable, Hashable {
  /// How many files have an ending.
  package struct Ending: Sendable, Codable, Hashable {
    /// Such as `.webp`, in small letters; or `others`.
    package let ending: String
    /// Files.
    package let count: Int
  }

  private var counts: [String: Int] = [:]

  /// Nobody reads more; they bound the memory.
  private static let mostEndings = 100
  /// Longer endings are none, but a point somewhere in a name.
  private static let longest = 10
  /// Endings that are named before the rest is counted.
  private static let named = 5

  /// The most frequent first.
  package var endings: [Ending] {
    counts.map { Ending(ending: $0, count: $1) }.sorted { ($1.count, $0.ending) < ($0.count, $1.ending) }
  }

  /// All of them in one line; nil for none.
  package var summary: String? {
    let files = counts.values.reduce(0, +)
    guard files > 0 else { return nil }
    let all = endings
    let names = all.prefix(Self.named).map { "\($0.count) \($0.ending)" }.joined(separator: ", ")
    let rest = all.dropFirst(Self.named).reduce(0) { $0 + $1.count }
    return (files == 1 ? "1 file is passed over: " : "\(files) files are passed over: ") + names
      + (rest > 0 ? " and \(rest) more" : "")
  }

  mutating func count(_ name: FilePath) {
    let ending = Self.ending(of: name) ?? "others"
    counts[counts[ending] != nil || counts.count < Self.mostEndings ? ending : "others", default: 0] += 1
  }

  /// Nil where a name has none.
  private static func ending(of name: FilePath) -> String? {
    guard let point = name.bytes.lastIndex(of: UInt8(ascii: ".")) else { return nil }
    let ending = String(decoding: name.bytes[point...], as: UTF8.self).lowercased()
    guard (2...longest).contains(ending.utf8.count),
      ending.dropFirst().utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) })
    else { return nil }
    return ending
  }
}

/// Decoded images in a bounded memory.
///
/// Training passes over all images in an order drawn anew each epoch. Of such an order a cache that forgets what
/// was used longest ago keeps hardly anything that comes again; so three quarters of the memory go to whatever
/// comes first, for good. The last quarter holds the latest, because the second view of an image follows the
/// first within the batch. Where all images fit, none is forgotten.
final class ImageCache: Sendable {
  /// What it may hold, in bytes of pixels.
  let limit: Int
  private let state = Mutex(State())

  private struct State {
    var images: [Int: DecodedImage] = [:]
    var pinnedBytes = 0
    /// The latest that are not kept for good, the oldest first from `oldest` on.
    var latest: [Int] = []
    var oldest = 0
    var latestBytes = 0

    mutating func makeRoom(for size: Int, of limit: Int) {
      while latestBytes + size > limit {
        if let image = images.removeValue(forKey: latest[oldest]) { latestBytes -= image.bytes.count }
        oldest += 1
      }
      // The places of the forgotten are taken back now and then, so that each is moved once.
      guard oldest > latest.count / 2 else { return }
      latest.removeFirst(oldest)
      oldest = 0
    }
  }

  init(limit: Int) {
    precondition(limit >= 0, "a cache of \(limit) bytes")
    self.limit = limit
  }

  /// Bytes of pixels that it holds.
  var bytes: Int { state.withLock { $0.pinnedBytes + $0.latestBytes } }

  subscript(index: Int) -> DecodedImage? { state.withLock { $0.images[index] } }

  /// Keeps an image, for good or for a while.
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
