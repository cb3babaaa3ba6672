import Synchronization

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
