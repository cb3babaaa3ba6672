import Dispatch
import Engine
import Foundation
import Synchronization

/// Pauses the thread of a training between two steps; any other thread can control it.
package final class PauseGate: Sendable {
  private let state = Mutex((isClosed: false, isReleased: false))
  /// Signals that the state has changed, so that a waiting thread checks it again.
  private let change = DispatchSemaphore(value: 0)

  package init() {}

  /// Whether ``wait(for:)`` waits for ``open()``.
  package var isClosed: Bool { state.withLock { $0.isClosed } }

  /// Makes ``wait(for:)`` wait until ``open()``.
  package func close() { state.withLock { $0.isClosed = true } }

  /// Lets the waiting thread continue.
  package func open() {
    state.withLock { $0.isClosed = false }
    change.signal()
  }

  /// Ends all waiting for good, when the work is not needed any more.
  package func release() {
    state.withLock { $0.isReleased = true }
    change.signal()
  }

  /// Waits for the given time, and as long as the gate is closed. Only one thread may call this.
  package func wait(for pause: Duration = .zero) {
    let clock = ContinuousClock()
    let end = clock.now + pause
    while true {
      let (isClosed, isReleased) = state.withLock { $0 }
      let left = end - clock.now
      guard !isReleased, isClosed || left > .zero else { return }
      if isClosed {
        change.wait()
      } else {
        _ = change.wait(timeout: .now() + left.seconds)
      }
    }
  }
}

/// The device's power source, as reported by the kernel in a folder of power supplies.
package struct PowerSupply: Sendable {
  private let folder: URL

  /// Reads a folder with the files of `/sys/class/power_supply`.
  package init(_ folder: URL = URL(fileURLWithPath: "/sys/class/power_supply")) { self.folder = folder }

  /// Whether the device runs on battery now; false if it has no battery or the kernel does not report it.
  package var isOnBattery: Bool {
    let supplies = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    var (mains, batteries): ([String], [String]) = ([], [])
    for name in supplies {
      switch read("type", of: name) {
      case "Mains": mains.append(read("online", of: name))
      // A laptop that charges over USB has no mains supply.
      case "USB": if read("online", of: name) == "1" { return false }
      // The batteries of mice and keyboards do not power the device.
      case "Battery", "UPS":
        if read("scope", of: name) != "Device" { batteries.append(read("status", of: name)) }
      default: break
      }
    }
    guard !batteries.isEmpty, !mains.contains("1") else { return false }
    // Some batteries do not report that they discharge; then the missing mains shows it.
    return batteries.contains("Discharging") || mains.contains("0")
  }

  private func read(_ file: String, of supply: String) -> String {
    let file = folder.appendingPathComponent(supply).appendingPathComponent(file)
    let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
    return text.trimmingCharacters(in: .whitespacesAndNewlines)
  }
}
