import Foundation

/// How much memory decoders may take side by side: whoever would take too much beside the others waits for them.
final class DecodingRoom: Sendable {
  /// Bytes at a time. One that wants more is alone.
  static let bytes = 64_000_000

  private let condition = NSCondition()
  nonisolated(unsafe) private var taken = 0

  /// What so many decoders take side by side at most, of which none wants more than `largest`.
  static func most(_ decoders: Int, largest: Int) -> Int {
    min(max(bytes, largest), largest.multipliedReportingOverflow(by: decoders).partialValue)
  }

  /// Decodes where that takes so many bytes.
  func with<Result>(_ bytes: Int, _ decode: () throws(ImageFault) -> Result) throws(ImageFault) -> Result {
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
