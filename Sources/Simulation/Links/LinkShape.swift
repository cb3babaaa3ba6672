import Engine
import Federation
import Support

/// The properties of a client's connection, in the form `RATE[,DELAY[,LOSS%]]`, such as `1mbit,80ms,1%`.
///
/// RATE may be a pair, `UP/DOWN`; up is from the client to the server.
package struct LinkShape: Sendable, Hashable {
  package let up: BitRate
  package let down: BitRate
  /// The delay in each direction; a round trip takes twice as long.
  package let delay: TimeSpan
  /// The probability in percent, 0 ..< 100, that the connection is cut while it carries a megabyte (10^6 bytes, both
  /// directions together).
  package let loss: Double

  /// The accepted forms, for messages and help texts.
  package static let accepted = "RATE or UP/DOWN, then ,DELAY and ,LOSS%, such as 1mbit/10mbit,80ms,1%"

  private static let rates = BitRate(bitsPerSecond: 1000)...BitRate(bitsPerSecond: 10_000_000_000)
  /// The maximum delay: a server waits ten seconds for a client's first message.
  private static let longestDelay = TimeSpan.seconds(5)

  /// Parses a link. Throws ``LinkShapeError``.
  package init(parsing text: String) throws(LinkShapeError) {
    do throws(PlanRejection) {
      let fields = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
      guard fields.count <= 3 else { throw PlanRejection("has \(fields.count) parts; three are the most") }
      (up, down) = try Self.readRates(fields[0])
      delay = fields.count > 1 ? try Self.readDelay(fields[1]) : .seconds(0)
      loss = fields.count > 2 ? try Self.readLoss(fields[2]) : 0
    } catch {
      throw LinkShapeError(text: text, problem: error.reason)
    }
  }

  private static func readRates(_ text: String) throws(PlanRejection) -> (BitRate, BitRate) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard parts.count <= 2 else { throw PlanRejection("has \(parts.count) rates; up and down are two") }
    let up = try readRate(parts[0])
    return (up, parts.count > 1 ? try readRate(parts[1]) : up)
  }

  private static func readRate(_ text: String) throws(PlanRejection) -> BitRate {
    guard let rate = BitRate(text), rates.contains(rate) else {
      throw PlanRejection(
        "its rate is \(PlanRejection.shown(text)); must be a whole number and kbit, mbit or gbit, "
          + "\(rates.lowerBound) to \(rates.upperBound)")
    }
    return rate
  }

  private static func readDelay(_ text: String) throws(PlanRejection) -> TimeSpan {
    let delay: TimeSpan
    do { delay = try TimeSpan(text) } catch { throw PlanRejection("its delay \(error.reason)") }
    guard delay <= longestDelay else {
      throw PlanRejection("its delay is \(delay); \(longestDelay) is the most")
    }
    return delay
  }

  private static func readLoss(_ text: String) throws(PlanRejection) -> Double {
    let digits = text.dropLast()
    guard text.last == "%", digits.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }),
      let percent = Double(digits), (0..<100).contains(percent)
    else {
      throw PlanRejection(
        "its loss is \(PlanRejection.shown(text)); must be a percentage from 0% to below 100%")
    }
    return percent
  }
}

extension LinkShape: CustomStringConvertible {
  /// The form that `init(parsing:)` accepts, without zeros at the end.
  package var description: String {
    var fields = [up == down ? "\(up)" : "\(up)/\(down)"]
    if delay.milliseconds > 0 || loss > 0 { fields.append("\(delay)") }
    if loss > 0 { fields.append(loss == loss.rounded() ? "\(Int(loss))%" : "\(loss)%") }
    return fields.joined(separator: ",")
  }
}

extension LinkShape: Codable {
  package init(from decoder: any Swift.Decoder) throws {
    let value = try decoder.singleValueContainer()
    do {
      try self.init(parsing: value.decode(String.self))
    } catch let error as LinkShapeError {
      throw DecodingError.dataCorruptedError(in: value, debugDescription: error.description)
    }
  }

  /// Encodes the link as text.
  package func encode(to encoder: any Swift.Encoder) throws {
    var value = encoder.singleValueContainer()
    try value.encode(description)
  }
}

/// The error of an invalid link; its description is one line.
package struct LinkShapeError: Error, Sendable, Hashable, CustomStringConvertible {
  package let text: String
  package let problem: String

  package var description: String {
    "link \(PlanRejection.shown(text)): \(problem); accepted: \(LinkShape.accepted)"
  }
}

/// The rate of a link in bits per second, written with its decimal unit: `64kbit`, `1mbit`, `1gbit`.
package struct BitRate: Sendable, Hashable, Comparable, CustomStringConvertible {
  /// The rate, above 0.
  package let bitsPerSecond: Int

  package init(bitsPerSecond: Int) {
    precondition(bitsPerSecond > 0, "\(bitsPerSecond) bits a second")
    self.bitsPerSecond = bitsPerSecond
  }

  /// The bits per second of each unit, the largest first.
  private static let units = [("gbit", 1_000_000_000), ("mbit", 1_000_000), ("kbit", 1000)]

  /// Reads a whole number and its unit; nil for anything else.
  package init?(_ text: String) {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    guard let count = Int(digits), count > 0,
      let unit = Self.units.first(where: { $0.0 == text.dropFirst(digits.count) })
    else { return nil }
    let (bits, overflow) = count.multipliedReportingOverflow(by: unit.1)
    guard !overflow else { return nil }
    self.init(bitsPerSecond: bits)
  }

  /// Returns the time that `bytes` bytes take.
  package func time(for bytes: Int) -> Duration { .seconds(Double(bytes) * 8 / Double(bitsPerSecond)) }

  /// Returns the bytes that pass in a time, rounded up.
  package func bytes(in time: Duration) -> Int {
    Int((time.seconds * Double(bitsPerSecond) / 8).rounded(.up))
  }

  package static func < (one: BitRate, other: BitRate) -> Bool { one.bitsPerSecond < other.bitsPerSecond }

  /// The rate in the largest unit that gives a whole number.
  package var description: String {
    guard let unit = Self.units.first(where: { bitsPerSecond % $0.1 == 0 }) else {
      return "\(bitsPerSecond)bit"
    }
    return "\(bitsPerSecond / unit.1)\(unit.0)"
  }
}
