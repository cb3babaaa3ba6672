import Federation
import Foundation

/// Hours of the day, such as `22:00-06:00,12:30-13:30`, in the device's local time.
///
/// A range includes its first minute and excludes its last; a range that ends no later than it begins spans
/// midnight. The hours are wall-clock time, also on days with a change to or from summer time.
package struct Hours: Sendable, Hashable {
  /// Minutes after midnight: `start` below 1440, `end` at most 1440.
  private struct Span: Hashable {
    let start: Int
    let end: Int
  }

  private let spans: [Span]

  /// Reads ranges separated by commas. Throws a ``PlanRejection`` that names the invalid range.
  package init(_ text: String) throws(PlanRejection) {
    var spans: [Span] = []
    for piece in text.split(separator: ",", omittingEmptySubsequences: false) {
      guard let span = Self.span(piece) else {
        throw PlanRejection(
          "\(PlanRejection.shown(String(piece))) is not a range of hours, such as 22:00-06:00")
      }
      spans.append(span)
    }
    self.spans = spans
  }

  private static func span(_ text: Substring) -> Span? {
    let ends = text.split(separator: "-", omittingEmptySubsequences: false).map(minutes)
    guard ends.count == 2, let start = ends[0], let end = ends[1], start < 1440, start != end else {
      return nil
    }
    return Span(start: start, end: end)
  }

  /// Returns the minutes after midnight of `6:00` or `06:00`; 24:00 is the end of the day.
  private static func minutes(_ text: Substring) -> Int? {
    guard let match = text.wholeMatch(of: /([0-9]{1,2}):([0-9]{2})/), let hour = Int(match.1),
      let minute = Int(match.2), minute < 60
    else { return nil }
    let minutes = 60 * hour + minute
    return minutes <= 1440 ? minutes : nil
  }

  /// Returns whether the hours contain a minute of the day, 0 … 1439.
  package func contains(minute: Int) -> Bool {
    spans.contains { span in
      span.start < span.end
        ? (span.start..<span.end).contains(minute) : minute >= span.start || minute < span.end
    }
  }

  /// Returns whether the hours contain a date, in the calendar's time zone.
  package func contains(_ date: Date, in calendar: Calendar) -> Bool {
    let time = calendar.dateComponents([.hour, .minute], from: date)
    return contains(minute: 60 * (time.hour ?? 0) + (time.minute ?? 0))
  }
}

extension Hours {
  /// Returns the seconds from a date until the hours next begin; 0 if they contain the date. The result is an hour off
  /// if the clock changes in between.
  package func seconds(from date: Date, in calendar: Calendar) -> Int {
    let time = calendar.dateComponents([.hour, .minute, .second], from: date)
    let minute = 60 * (time.hour ?? 0) + (time.minute ?? 0)
    let minutes = (0..<1440).first { contains(minute: (minute + $0) % 1440) } ?? 0
    return minutes > 0 ? 60 * minutes - (time.second ?? 0) : 0
  }
}

extension Hours: CustomStringConvertible {
  /// The ranges with two digits for each number.
  package var description: String {
    func clock(_ minutes: Int) -> String { String(format: "%02d:%02d", minutes / 60, minutes % 60) }
    return spans.map { "\(clock($0.start))-\(clock($0.end))" }.joined(separator: ",")
  }
}
