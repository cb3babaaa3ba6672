import Datasets
import Engine
import Federation
import Foundation

/// The outputs of the frozen prefix for a fixed number of views of every image, in a file: half precision,
/// memory-mapped, so that the kernel keeps as much of it in memory as there is room for.
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
  private let memory: UnsafeMutableRawPointer
  private let bytes: Int

  private var note: URL { file.appendingPathExtension("json") }

  /// Maps the file, of the right size. Throws ``ClientError/state(_:)`` where there is no room for it.
  package init(_ file: URL, _ contents: Contents) throws(ClientError) {
    (self.file, self.contents) = (file, contents)
    bytes = max(contents.images * contents.views * contents.size * 2, 1)
    let descriptor = open(file.path, O_RDWR | O_CREAT, 0o600)
    guard descriptor >= 0 else { throw Self.failure(file) }
    defer { close(descriptor) }
    // Room is claimed now: a full disk shows here and not as a fault of the mapping later.
    let status = posix_fallocate(descriptor, 0, bytes)
    guard status == 0 else { throw .state("\(file.path): \(String(cString: strerror(status)))") }
    guard let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0),
      memory != MAP_FAILED
    else { throw Self.failure(file) }
    self.memory = memory
  }

  deinit { munmap(memory, bytes) }

  private static func failure(_ file: URL) -> ClientError {
    .state("\(file.path): \(String(cString: strerror(errno)))")
  }

  /// Reads entry (image, view).
  package func read(_ image: Int, _ view: Int, into features: UnsafeMutablePointer<Float>) {
    HalfPrecision.decode(place(image * contents.views + view), into: features, count: contents.size)
  }

  private func place(_ entry: Int) -> UnsafeMutableRawPointer { memory + entry * contents.size * 2 }

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
        HalfPrecision.decode(self.place(entry), into: place, count: contents.size)
      }
    } write: { entry, features in
      HalfPrecision.encode(features, into: self.place(entry), count: contents.size)
    }
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
