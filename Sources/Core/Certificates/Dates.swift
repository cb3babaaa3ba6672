import Foundation

/// Dates as messages about certificates show them.
extension Date {
  /// Such as 2026-11-24, of UTC.
  package var day: String { formatted(.iso8601.year().month().day()) }

  /// Such as 2026-11-24 17:05 UTC.
  package var minute: String {
    let text = formatted(.iso8601.year().month().day().time(includingFractionalSeconds: false))
    return "\(text.prefix(16).replacing("T", with: " ")) UTC"
  }
}
