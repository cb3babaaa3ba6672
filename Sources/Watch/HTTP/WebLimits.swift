import Wire

/// Bounds of what a web browser, or somebody who pretends to be one, may take, each with its reason.
package enum WebLimits {
  /// Bytes of a request's head: browsers send under 2 KiB.
  package static let head = 8 << 10
  /// Seconds of a connection from its beginning to its end: a page is under 200 KB, and of a thousand clients 1 MB.
  package static var seconds: Int { 15 * WireLimits.slack }
  /// Connections at once. The next takes the place of the oldest: an honest one is over in a moment.
  package static let connections = 64
  /// Bytes that are read and thrown away behind an answer, so that it is not lost with its connection.
  package static let rest = 64 << 10
  /// Clients that are shown one by one, those first that were heard last; the others only in sums.
  package static let clients = 2000
  /// How long an open page waits before it asks again.
  package static let pagePause = Duration.seconds(2)
  /// How much later than expected somebody who looks regularly may be and not have gone: a page has a second try.
  package static var lateness: Duration { .seconds(3) * WireLimits.slack }
  /// How long those who look regularly are waited for after the job's end, so that they hear of it; and after a signal,
  /// where somebody waits for the server to be gone.
  package static var farewell: Duration { .seconds(20) * WireLimits.slack }
  package static var hastyFarewell: Duration { .seconds(5) * WireLimits.slack }
}
