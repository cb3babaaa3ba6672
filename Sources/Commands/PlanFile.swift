import Federation
import Foundation

/// Reads a plan's file. Throws ``CommandFailure`` with a line for each thing that is wrong with it.
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

/// The folder that a plan's file is in, which its `initial` is relative to.
package func planFolder(_ path: String) -> URL { URL(fileURLWithPath: path).deletingLastPathComponent() }
