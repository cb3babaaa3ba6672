/// The pauses of a client before it tries a server again: each twice as long as the one before, up to half a
/// minute, and of each half is left to chance, so that those who lost a server together do not all come back
/// at once.
package struct Backoff: Sendable {
  private static let first = Duration.milliseconds(100)
  private static let longest = Duration.seconds(30)

  private var length = Self.first
  private let jitter: @Sendable () -> Double

  /// - Parameter jitter: chance, 0 … 1, drawn once a pause; by itself it is the system's.
  package init(jitter: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) }) {
    self.jitter = jitter
  }

  /// The next pause: from half of 100 ms, 200 ms, 400 ms and so on up to the whole of it.
  package mutating func next() -> Duration {
    defer { length = min(length * 2, Self.longest) }
    return length / 2 + length / 2 * jitter()
  }

  /// The server was reached: the next pause is a short one again.
  package mutating func reset() { length = Self.first }
}
