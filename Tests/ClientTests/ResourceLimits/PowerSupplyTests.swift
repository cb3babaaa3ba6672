import TestSupport
import Client
import Foundation
import Testing

/// A folder like the kernel's /sys/class/power_supply.
struct FakePower {
  let folder: URL

  func set(_ supply: String, _ files: [String: String]) throws {
    let folder = folder.appendingPathComponent(supply)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for (name, text) in files {
      // A concurrent reader gets the old or the new content.
      try Data("\(text)\n".utf8).write(to: folder.appendingPathComponent(name), options: .atomic)
    }
  }

  /// Sets the files of a laptop on battery or on mains.
  func laptop(isOnBattery: Bool) throws {
    try set("BAT0", ["type": "Battery", "status": isOnBattery ? "Discharging" : "Charging"])
    try set("AC", ["type": "Mains", "online": isOnBattery ? "0" : "1"])
  }
}

@Suite struct PowerSupplyTests {
  struct Case: CustomTestStringConvertible {
    let testDescription: String
    let supplies: [String: [String: String]]
    let isOnBattery: Bool
  }

  private static let battery = ["type": "Battery", "status": "Discharging"]

  @Test(arguments: [
    Case(testDescription: "nothing is known", supplies: [:], isOnBattery: false),
    Case(testDescription: "a battery alone", supplies: ["BAT0": battery], isOnBattery: true),
    Case(
      testDescription: "the plug is out",
      supplies: ["AC": ["type": "Mains", "online": "0"], "BAT0": battery], isOnBattery: true),
    Case(
      testDescription: "the plug is in, and too weak",
      supplies: ["AC": ["type": "Mains", "online": "1"], "BAT0": battery], isOnBattery: false),
    Case(
      testDescription: "charged by USB",
      supplies: ["ucsi": ["type": "USB", "online": "1"], "BAT0": battery], isOnBattery: false),
    Case(
      testDescription: "nothing at the USB socket",
      supplies: ["ucsi": ["type": "USB", "online": "0"], "BAT0": battery], isOnBattery: true),
    Case(
      testDescription: "a battery that charges, through who knows what",
      supplies: ["BAT0": ["type": "Battery", "status": "Charging"]], isOnBattery: false),
    Case(
      testDescription: "a battery that does not know",
      supplies: [
        "AC": ["type": "Mains", "online": "0"], "BAT0": ["type": "Battery", "status": "Unknown"],
      ], isOnBattery: true),
    Case(
      testDescription: "one of two batteries discharges",
      supplies: ["BAT0": ["type": "Battery", "status": "Full"], "BAT1": battery], isOnBattery: true),
    Case(
      testDescription: "a mouse's battery",
      supplies: ["hidpp_battery_0": battery.merging(["scope": "Device"]) { $1 }], isOnBattery: false),
    Case(
      testDescription: "a UPS that has taken over",
      supplies: ["ups": ["type": "UPS", "status": "Discharging"]], isOnBattery: true),
    Case(
      testDescription: "mains that are gone, and no battery",
      supplies: ["AC": ["type": "Mains", "online": "0"]], isOnBattery: false),
  ])
  func tellsWhereThePowerComesFrom(example: Case) async throws {
    try await withTemporaryFolder { folder in
      for (name, files) in example.supplies { try FakePower(folder: folder).set(name, files) }
      #expect(PowerSupply(folder).isOnBattery == example.isOnBattery)
    }
  }

  @Test func aKernelThatDoesNotTellIsNotOnBattery() async throws {
    try await withTemporaryFolder { folder in
      #expect(!PowerSupply(folder.appendingPathComponent("none")).isOnBattery)
    }
  }

  @Test func everyLookIsANewOne() async throws {
    try await withTemporaryFolder { folder in
      let power = PowerSupply(folder)
      for isOnBattery in [false, true, false] {
        try FakePower(folder: folder).laptop(isOnBattery: isOnBattery)
        #expect(power.isOnBattery == isOnBattery)
      }
    }
  }
}
