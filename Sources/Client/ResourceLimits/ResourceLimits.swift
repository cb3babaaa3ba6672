import Engine
import Federation
import Foundation
import Support

/// The limits on a client's use of its device: hours, bytes, processor time and power.
package struct ResourceLimits: Sendable {
  /// When the client may train and send; nil for any time.
  package var hours: Hours?
  /// The bytes that it may receive and send in a day, in total; nil for no limit.
  package var bytesADay: ByteCount?
  /// The niceness of computing threads, 0 … 19; nil for that of the process.
  package var niceness: Int?
  /// The processor time of a training; nil for no limit.
  package var cpu: CPUQuota?
  /// The power source to check, if training pauses on battery; nil if it does not.
  package var power: PowerSupply?
  /// The interval between checks of hours and power.
  package var interval = Duration.seconds(5)
  /// The wall clock.
  package var now: @Sendable () -> Date = { Date() }
  /// The calendar that defines the hours and the start of a day.
  package var calendar = Calendar(identifier: .gregorian)
  /// Returns the processor time that this process has used.
  package var used: @Sendable () -> Duration = { ProcessTime.used }

  /// Sets no limits.
  package init() {}

  /// Whether there is a limit to check during a connection.
  var needWatching: Bool { hours != nil || bytesADay != nil || power != nil }

  /// The current day.
  package var day: String { DailyBytes.day(of: now(), in: calendar) }

  /// The reason to decline outside the hours; nil within them.
  package var closed: DeclineReason? {
    let now = now()
    guard let hours, !hours.contains(now, in: calendar) else { return nil }
    return DeclineReason("outside its hours, \(hours)", seconds: hours.seconds(from: now, in: calendar))
  }

  /// Whether training must pause because the device runs on battery.
  package var isOnBattery: Bool { power?.isOnBattery ?? false }

  /// Returns why the client declines a round that needs `needed` bytes after `spent` bytes today; nil if it accepts.
  package func declineReason(needed: Int, spent: Int) -> DeclineReason? {
    if let closed { return closed }
    if isOnBattery { return DeclineReason(Self.onBattery, seconds: Self.onBatterySeconds) }
    return overspending(needed: needed, spent: spent)
  }

  /// Returns why `needed` more bytes exceed the day's limit after `spent` bytes; nil if they do not.
  func overspending(needed: Int, spent: Int) -> DeclineReason? {
    guard let bytesADay, needed > bytesADay.bytes - spent else { return nil }
    return DeclineReason(
      "the round needs \(Self.megabytes(needed)), and the client has used \(Self.megabytes(spent)) of \(bytesADay) a day",
      seconds: secondsOfDayLeft)
  }

  /// The seconds until the server asks again. When power returns is unknown; asking this often costs a few kilobytes.
  private static let onBatterySeconds = 300

  /// The seconds until the next day begins.
  private var secondsOfDayLeft: Int {
    let now = now()
    guard let day = calendar.dateInterval(of: .day, for: now) else { return 3600 }
    return Int(day.end.timeIntervalSince(now).rounded(.up))
  }

  static let onBattery = "on battery"

  private static func megabytes(_ bytes: Int) -> String {
    String(format: "%.1f MB", Double(bytes) / 1_000_000)
  }

  /// Returns the accounting for a training that begins now; nil without a quota.
  package func pace(at now: ContinuousClock.Instant) -> Pace? { cpu.map { Pace($0, at: now, used: used()) } }
}
