import Foundation

/// How much memory decoders may take side by side: whoever would take too much beside the others waits for them.
package final class DecoderMemoryLimit: Sendable {
  /// Bytes at a time. One that wants more is alone.
  package static let bytes = 64_000_000

  private let condition = NSCondition()
  nonisolated(unsafe) private var taken = 0

  /// Nobody decodes yet.
  package init() {}

  /// What so many decoders take side by side at most, of which none wants more than `largest`.
  package static func most(_ decoders: Int, largest: Int) -> Int {
    min(max(bytes, largest), largest * decoders)
  }

  /// Decodes where that takes so many bytes.
  package func with<Result, Failure: Error>(
    _ bytes: Int, _ decode: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    condition.withLock {
      while taken > 0 && taken + bytes > Self.bytes { condition.wait() }
      taken += bytes
    }
    defer {
      condition.withLock {
        taken -= bytes
        condition.broadcast()
      }
    }
    return try decode()
  }
}
