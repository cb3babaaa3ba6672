import Dispatch
import Engine
import Foundation
import Synchronization

/// Holds a training's thread between two steps, from any other.
package final class PauseGate: Sendable {
  private let state = Mutex((isClosed: false, isReleased: false))
  /// Says that the state has changed; who waits looks again.
  private let change = DispatchSemaphore(value: 0)

  package init() {}

  /// Whether ``wait(for:)`` waits for ``open()``.
  package var isClosed: Bool { state.withLock { $0.isClosed } }

  /// Who waits from now on, waits until ``open()``.
  package func close() { state.withLock { $0.isClosed = true } }

  /// Who waits goes on.
  package func open() {
    state.withLock { $0.isClosed = false }
    change.signal()
  }

  /// Nobody waits any more: the work is not wanted.
  package func release() {
    state.withLock { $0.isReleased = true }
    change.signal()
  }

  /// Waits on the calling thread, of which there is one: for a time, and for as long as the gate is closed.
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
