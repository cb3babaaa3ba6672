import Federation
import Foundation

/// Reads a plan file. Throws ``CommandFailure`` with a line for each problem.
package func readPlan(_ path: String) throws(CommandFailure) -> Plan {
  guard let data = FileManager.default.contents(atPath: path) else {
    throw CommandFailure(.plan, "\(path): there is no such file, or it cannot be read")
  }
  do {
    return try Plan(yaml: String(decoding: data, as: UTF8.self), file: path)
  } catch {
    throw CommandFailure(.plan, error.description)
  }
}

/// Returns the folder of a plan file; the plan's `initial` is relative to it.
package func planFolder(_ path: String) -> URL { URL(fileURLWithPath: path).deletingLastPathComponent() }
