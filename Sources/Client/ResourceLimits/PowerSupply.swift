import Foundation

/// Where the device's power comes from, as the kernel tells in a folder of power supplies.
package struct PowerSupply: Sendable {
  private let folder: URL

  /// Reads a folder with the files of `/sys/class/power_supply`.
  package init(_ folder: URL = URL(fileURLWithPath: "/sys/class/power_supply")) { self.folder = folder }

  /// Whether the device runs on its battery now. A device without one, or whose kernel does not tell, does not.
  package var isOnBattery: Bool {
    let supplies = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    var (mains, batteries): ([String], [String]) = ([], [])
    for name in supplies {
      switch read("type", of: name) {
      case "Mains": mains.append(read("online", of: name))
      // A laptop that is charged through its USB socket has no mains.
      case "USB": if read("online", of: name) == "1" { return false }
      // The batteries of mice and keyboards say nothing about the device.
      case "Battery", "UPS":
        if read("scope", of: name) != "Device" { batteries.append(read("status", of: name)) }
      default: break
      }
    }
    guard !batteries.isEmpty, !mains.contains("1") else { return false }
    // Some batteries do not know that they are being discharged; then the mains that are gone tell.
    return batteries.contains("Discharging") || mains.contains("0")
  }

  private func read(_ file: String, of supply: String) -> String {
    let file = folder.appendingPathComponent(supply).appendingPathComponent(file)
    let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
    return text.trimmingCharacters(in: .whitespacesAndNewlines)
  }
}
