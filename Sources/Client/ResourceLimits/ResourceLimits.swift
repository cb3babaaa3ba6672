import Engine
import Federation
import Foundation
import Support

/// What a client may take of its device: when it works, how much it sends, how hard it computes.
package struct ResourceLimits: Sendable {
  /// When it may train and send; nil: at any time.
  package var hours: Hours?
  /// Bytes that it may receive and send in a day, both together; nil: any number.
  package var bytesADay: ByteCount?
  /// Niceness of what computes, 0 … 19; nil: that of the process.
  package var niceness: Int?
  /// Processor time of a training; nil: all that its threads can use.
  package var cpu: CPUQuota?
  /// Where the power comes from, if training is to rest on battery; nil: it is not.
  package var power: PowerSupply?
  /// How often hours and power are looked at.
  package var interval = Duration.seconds(5)
  /// The wall clock.
  package var now: @Sendable () -> Date = { Date() }
  /// Whose time the hours are in, and when its days begin.
  package var calendar = Calendar(identifier: .gregorian)
  /// The processor's time of this process so far.
  package var used: @Sendable () -> Duration = { ProcessTime.used }

  /// Works at any time, as hard as it can.
  package init() {}

  /// Whether there is something to look at while a connection lasts.
  var needWatching: Bool { hours != nil || bytesADay != nil || power != nil }

  /// The present day.
  package var day: String { DailyBytes.day(of: now(), in: calendar) }

  /// Why nothing may be done at this time of the day; nil where it may.
  package var closed: DeclineReason? {
    let now = now()
    guard let hours, !hours.contains(now, in: calendar) else { return nil }
    return DeclineReason("outside its hours, \(hours)", seconds: hours.seconds(from: now, in: calendar))
  }

  /// Whether training is to rest, since the device runs on its battery.
  package var isOnBattery: Bool { power?.isOnBattery ?? false }

  /// Why a round is not taken that needs so many bytes, where so many were spent today; nil where it is.
  package func declineReason(needed: Int, spent: Int) -> DeclineReason? {
    if let closed { return closed }
    if isOnBattery { return DeclineReason(Self.onBattery, seconds: Self.onBatterySeconds) }
    return overspending(needed: needed, spent: spent)
  }

  /// Why so many bytes are not sent or received, where so many were today; nil where they are.
  func overspending(needed: Int, spent: Int) -> DeclineReason? {
    guard let bytesADay, needed > bytesADay.bytes - spent else { return nil }
    return DeclineReason(
      "it needs \(Self.megabytes(needed)) and has spent \(Self.megabytes(spent)) of \(bytesADay) a day",
      seconds: secondsOfDayLeft)
  }

  /// Nobody knows when power comes back: to ask so often costs a few kilobytes.
  private static let onBatterySeconds = 300

  /// Seconds until the next day begins.
  private var secondsOfDayLeft: Int {
    let now = now()
    guard let day = calendar.dateInterval(of: .day, for: now) else { return 3600 }
    return Int(day.end.timeIntervalSince(now).rounded(.up))
  }

  static let onBattery = "on battery"

  private static func megabytes(_ bytes: Int) -> String {
    String(format: "%.1f MB", Double(bytes) / 1_000_000)
  }

  /// The account of a training that begins now; nil where it may use all it can.
  package func pace(at now: ContinuousClock.Instant) -> Pace? { cpu.map { Pace($0, at: now, used: used()) } }
}
