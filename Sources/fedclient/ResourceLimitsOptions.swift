import ArgumentParser
import Client
import Commands
import Engine
import Federation
import Support

/// The options for the client's resource limits (docs/resource-limits.md).
struct ResourceLimitsOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Raise the niceness of the process to this value, 0 to 19; a higher one is kept.", valueName: "n"))
  var nice: Int?

  @Option(
    help: ArgumentHelp(
      "Limit of processor time during training, in percent of one core: 50% is half a core, 200% two. Training pauses between steps to stay below it.",
      valueName: "percent"))
  var cpu: String?

  @Option(
    help: ArgumentHelp(
      "Hours for training and sending, in local time, such as 22:00-06:00,12:30-13:30. At other times the client declines rounds, and stops the current one.",
      valueName: "ranges"))
  var hours: String?

  @Option(
    name: .customLong("bytes-a-day"),
    help: ArgumentHelp(
      "Limit of bytes received and sent in a day, such as 200MB. The client declines a round that would exceed it.",
      valueName: "bytes"))
  var bytesADay: String?

  @Flag(help: "On battery, decline rounds and pause a running training until mains power returns.")
  var pauseOnBattery = false

  func validate() throws {
    guard nice.map((0...19).contains) ?? true else { throw ValidationError("--nice is 0 to 19") }
    guard cpu.map({ CPUQuota($0) != nil }) ?? true else {
      throw ValidationError("--cpu is a percentage of one core, 1% to 25600%, such as 50%")
    }
    if let hours {
      do { _ = try Hours(hours) } catch { throw ValidationError("--hours: \(error.reason)") }
    }
    guard bytesADay.map({ ByteCount($0) != nil }) ?? true else {
      throw ValidationError("--bytes-a-day is a whole number and B, KB, MB, GB, KiB, MiB or GiB")
    }
  }

  /// Raises the niceness of this process as requested.
  func beNice() {
    guard let nice else { return }
    do {
      try Niceness.raise(to: nice)
    } catch {
      // A sandbox may forbid this; the client takes part nevertheless.
      makeLogger("fedclient").warning("\(error)")
    }
  }

  /// Returns the client's limits. Throws if ``validate()`` does.
  func settings() throws -> ResourceLimits {
    var limits = ResourceLimits()
    limits.niceness = nice
    limits.cpu = cpu.flatMap { CPUQuota($0) }
    limits.hours = try hours.map { try Hours($0) }
    limits.bytesADay = bytesADay.flatMap { ByteCount($0) }
    limits.power = pauseOnBattery ? PowerSupply() : nil
    return limits
  }
}
