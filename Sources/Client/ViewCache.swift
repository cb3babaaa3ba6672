import Datasets
import Engine
import Federation
import Foundation
import Support
import Synchronization

/// The outputs of the frozen prefix for a fixed number of views per image, stored in a file in half precision. The
/// kernel caches the file in free memory; a mapped file would count as memory of the process.
///
/// Entry image x views + view holds the features of one view. A second file lists the layers that produced the
/// entries. Newly frozen layers are applied to the entries; if one of the listed layers has changed, all entries
/// are computed again.
package final class ViewCache {
  /// A description of the entries.
  package struct Contents: Codable, Equatable {
    package var images: Int
    package var views: Int
    /// The number of floats in an entry.
    package var size: Int
    /// The seed of the views.
    package var seed: UInt64
    /// The layers that produced the entries: stem and blocks, in order.
    package var layers: [Digest]

    package init(images: Int, views: Int, size: Int, seed: UInt64, layers: [Digest]) {
      (self.images, self.views, self.size) = (images, views, size)
      (self.seed, self.layers) = (seed, layers)
    }
  }

  private let contents: Contents
  private let file: URL
  private let descriptor: Int32
  /// The error of a failed read or write. The caller is on another thread and cannot receive it as a thrown error.
  private let failure = Mutex<ClientError?>(nil)

  private var note: URL { file.appendingPathExtension("json") }

  /// Opens the file at its full size. Throws ``ClientError/state(_:)`` if the disk has no space for it.
  package init(_ file: URL, _ contents: Contents) throws(ClientError) {
    (self.file, self.contents) = (file, contents)
    let bytes = max(contents.images * contents.views * contents.size * 2, 1)
    let descriptor = open(file.path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw Self.failure(file, errno) }
    // Allocates the space now, so that a full disk fails here and not during a training.
    let status = posix_fallocate(descriptor, 0, bytes)
    guard status == 0 else {
      close(descriptor)
      throw Self.failure(file, status)
    }
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  private static func failure(_ file: URL, _ code: Int32) -> ClientError {
    .state("\(file.path): \(String(cString: strerror(code)))")
  }

  /// Throws ``ClientError/state(_:)`` if an entry could not be read or written.
  package func check() throws(ClientError) { if let error = failure.withLock({ $0 }) { throw error } }

  /// Reads entry (image, view). Fills it with zeros on failure, after which ``check()`` throws.
  package func read(_ image: Int, _ view: Int, into features: UnsafeMutablePointer<Float>) {
    read(image * contents.views + view, into: features)
  }

  private func read(_ entry: Int, into features: UnsafeMutablePointer<Float>) {
    withEntry { halves in
      let isWhole = move(entry, halves.count) { pread(descriptor, halves.baseAddress! + $0, $1, $2) }
      if !isWhole { memset(halves.baseAddress!, 0, halves.count) }
      HalfPrecision.decode(halves.baseAddress!, into: features, count: contents.size)
    }
  }

  private func write(_ entry: Int, _ features: UnsafePointer<Float>) {
    withEntry { halves in
      HalfPrecision.encode(features, into: halves.baseAddress!, count: contents.size)
      _ = move(entry, halves.count) { pwrite(descriptor, halves.baseAddress! + $0, $1, $2) }
    }
  }

  private func withEntry(_ body: (UnsafeMutableRawBufferPointer) -> Void) {
    withUnsafeTemporaryAllocation(byteCount: contents.size * 2, alignment: 64, body)
  }

  /// Moves all bytes of an entry with system calls, `call(done, left, offset)`. Returns whether that succeeded.
  private func move(_ entry: Int, _ count: Int, _ call: (Int, Int, off_t) -> Int) -> Bool {
    var done = 0
    while done < count {
      let moved = call(done, count - done, off_t(entry * count + done))
      if moved < 0 && errno == EINTR { continue }
      guard moved > 0 else {
        let error = Self.failure(file, moved < 0 ? errno : EIO)
        failure.withLock { $0 = error }
        return false
      }
      done += moved
    }
    return true
  }

  /// Advances all entries through the layers of `contents` that they have not passed yet. `runner` has the parameters
  /// of those layers; `draw(image, view, worker, pixels)` writes a view as an image.
  package func update(_ runner: PrefixRunner, draw: (Int, Int, Int, UnsafeMutablePointer<Float>) -> Void)
    throws(ClientError)
  {
    let depth = contents.layers.count - 1
    var start = PrefixRunner.Start.images
    if let old = recorded, old.isEarlier(than: contents) {
      if old.layers.count == contents.layers.count { return }
      start = .features(depth: old.layers.count - 1)
    }
    // Without the note, the entries are invalid until all are written.
    try? FileManager.default.removeItem(at: note)
    runner.run(contents.images * contents.views, from: start, to: depth) { entry, worker, place in
      if start == .images {
        draw(entry / contents.views, entry % contents.views, worker, place)
      } else {
        read(entry, into: place)
      }
    } write: { entry, features in
      write(entry, features)
    }
    try check()
    do {
      try JSON.stored(contents).write(to: note, options: .atomic)
    } catch {
      throw .state("\(note.path): \(error.systemWords)")
    }
  }

  /// The contents recorded for the file; nil if the entries are incomplete.
  private var recorded: Contents? {
    guard let data = try? Data(contentsOf: note) else { return nil }
    return try? JSON.read(from: data)
  }
}

extension ViewCache.Contents {
  /// Returns whether these entries become the other's by passing more layers, or are equal to them.
  fileprivate func isEarlier(than other: Self) -> Bool {
    var same = other
    same.layers = layers
    return self == same && !layers.isEmpty && layers.count <= other.layers.count
      && layers == Array(other.layers.prefix(layers.count))
  }
}

/// A fixed number of augmented views per image, one or two of which an epoch uses: as images or, if a prefix is frozen, as
/// that prefix's cached outputs.
///
/// With two views of an image in a step, even views use the augmentation of first views and odd ones that of second
/// views; with one, all use that of first views.
final class FixedViews: RowSource {
  private let images: ImageSet
  private let augmenter: Augmenter
  private let views: Int
  /// The number of views of an image in a step.
  private let kinds: Int
  /// The seed of the run, so that the views stay the same in all rounds.
  private let viewSeed: UInt64
  /// The seed of the round, which selects the pairs of views.
  let seed: UInt64
  private let scratches: [AugmentationScratch]
  private let cache: ViewCache?

  init(
    _ images: ImageSet, _ augmenter: Augmenter, views: Int, kinds: Int = 2, seed: UInt64, roundSeed: UInt64,
    workers: Int,
    cache: ViewCache?
  ) {
    precondition(views >= 2 && views % 2 == 0, "\(views) views: both kinds are needed")
    (self.images, self.augmenter, self.views, self.kinds) = (images, augmenter, views, kinds)
    (viewSeed, self.seed, self.cache) = (seed, roundSeed, cache)
    scratches = (0..<workers).map { _ in augmenter.makeScratch(for: images) }
  }

  /// Throws ``ClientError/state(_:)`` if a view could not be read from the file.
  func check() throws(ClientError) { try cache?.check() }

  var count: Int { images.count }
  var givesFeatures: Bool { cache != nil }
  var labels: [Int]? { images.labels }

  func write(view: Int, image: Int, epoch: Int, worker: Int, into place: UnsafeMutablePointer<Float>) {
    var random = RandomNumbers(seed, "pair", epoch, image, view)
    let index = kinds * random.below(views / kinds) + view
    if let cache {
      cache.read(image, index, into: place)
    } else {
      draw(image, index, worker, place)
    }
  }

  /// Writes view `index` of an image as [C, H, W].
  func draw(_ image: Int, _ index: Int, _ worker: Int, _ pixels: UnsafeMutablePointer<Float>) {
    var random = RandomNumbers(viewSeed, "fixed view", image, index)
    augmenter.view(
      index % kinds, of: images, index: image, random: &random, into: pixels, scratch: scratches[worker])
  }
}
