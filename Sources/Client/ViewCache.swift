import Datasets
import Engine
import Federation
import Foundation
import Support
import Synchronization

/// The outputs of the frozen prefix for a fixed number of views of every image, in a file, in half precision. The kernel
/// keeps as much of it in its own memory as there is room for; mapped into the process's, it would count there.
///
/// An entry is an image's features, entry image x views + view. The file says beside itself which
/// layers its entries went through; it is advanced by newly frozen layers, and made anew where a layer that
/// it went through has changed.
package final class ViewCache {
  /// What the entries are.
  package struct Contents: Codable, Equatable {
    package var images: Int
    package var views: Int
    /// Floats of an entry.
    package var size: Int
    /// The seed that the views were drawn from.
    package var seed: UInt64
    /// The layers that they went through: stem and blocks, in order.
    package var layers: [Digest]

    package init(images: Int, views: Int, size: Int, seed: UInt64, layers: [Digest]) {
      (self.images, self.views, self.size) = (images, views, size)
      (self.seed, self.layers) = (seed, layers)
    }
  }

  private let contents: Contents
  private let file: URL
  private let descriptor: Int32
  /// Why an entry could not be read or written: whoever wants one, on a thread of its own, cannot be told.
  private let failure = Mutex<ClientError?>(nil)

  private var note: URL { file.appendingPathExtension("json") }

  /// Opens the file, of the right size. Throws ``ClientError/state(_:)`` where there is no room for it.
  package init(_ file: URL, _ contents: Contents) throws(ClientError) {
    (self.file, self.contents) = (file, contents)
    let bytes = max(contents.images * contents.views * contents.size * 2, 1)
    let descriptor = open(file.path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw Self.failure(file, errno) }
    // Room is claimed now: a full disk shows here and not in the midst of a training.
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

  /// Throws ``ClientError/state(_:)`` where an entry could not be read or written.
  package func check() throws(ClientError) { if let error = failure.withLock({ $0 }) { throw error } }

  /// Reads entry (image, view). What cannot be read is zeros, and ``check()`` throws from then on.
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

  /// Moves all bytes of an entry with calls of the system, `call(done, left, offset)`. Returns whether that went well.
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

  /// Brings all entries behind the layers of `contents`, from as far as they are. `runner` has those layers'
  /// parameters; `draw(image, view, worker, pixels)` gives a view as an image.
  package func update(_ runner: PrefixRunner, draw: (Int, Int, Int, UnsafeMutablePointer<Float>) -> Void)
    throws(ClientError)
  {
    let depth = contents.layers.count - 1
    var start = PrefixRunner.Start.images
    if let old = recorded, old.isEarlier(than: contents) {
      if old.layers.count == contents.layers.count { return }
      start = .features(depth: old.layers.count - 1)
    }
    // Until the entries are whole again they are nothing.
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

  /// What the file holds by its own account; nil where nothing whole is in it.
  private var recorded: Contents? {
    guard let data = try? Data(contentsOf: note) else { return nil }
    return try? JSON.read(from: data)
  }
}

extension ViewCache.Contents {
  /// Whether these entries become the other's by going through more layers, or are them already.
  fileprivate func isEarlier(than other: Self) -> Bool {
    var same = other
    same.layers = layers
    return self == same && !layers.isEmpty && layers.count <= other.layers.count
      && layers == Array(other.layers.prefix(layers.count))
  }
}

/// A fixed number of augmented views of every image, two of which an epoch takes: as images, or, where a
/// prefix is frozen, as that prefix's cached outputs.
///
/// Even views are drawn as first views are, odd ones as second views.
final class FixedViews: RowSource {
  private let images: ImageSet
  private let augmenter: Augmenter
  private let views: Int
  /// Of the run, so that the views stay the same from round to round.
  private let seed: UInt64
  /// Of the round: which views are paired.
  private let roundSeed: UInt64
  private let scratches: [AugmentationScratch]
  private let cache: ViewCache?

  init(
    _ images: ImageSet, _ augmenter: Augmenter, views: Int, seed: UInt64, roundSeed: UInt64, workers: Int,
    cache: ViewCache?
  ) {
    precondition(views >= 2 && views % 2 == 0, "\(views) views: both kinds are needed")
    (self.images, self.augmenter, self.views) = (images, augmenter, views)
    (self.seed, self.roundSeed, self.cache) = (seed, roundSeed, cache)
    scratches = (0..<workers).map { _ in augmenter.makeScratch(for: images) }
  }

  /// Throws ``ClientError/state(_:)`` where some of the views could not be read from their file.
  func check() throws(ClientError) { try cache?.check() }

  var count: Int { images.count }
  var givesFeatures: Bool { cache != nil }

  func write(view: Int, image: Int, epoch: Int, worker: Int, into place: UnsafeMutablePointer<Float>) {
    var random = RandomNumbers(roundSeed, "pair", epoch, image, view)
    let index = 2 * random.below(views / 2) + view
    if let cache {
      cache.read(image, index, into: place)
    } else {
      draw(image, index, worker, place)
    }
  }

  /// View `index` of an image as [C, H, W].
  func draw(_ image: Int, _ index: Int, _ worker: Int, _ pixels: UnsafeMutablePointer<Float>) {
    var random = RandomNumbers(seed, "fixed view", image, index)
    augmenter.view(
      index % 2, of: images, index: image, random: &random, into: pixels, scratch: scratches[worker])
  }
}
