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

/// Reads the safetensors file of an encoder. Throws ``CommandFailure``.
///
/// - Parameter hints: the values of a command's options for files that do not describe the encoder completely, whose
///   names a failure gives; nil for a command without them.
package func readCheckpoint(
  _ path: String, _ hints: EncoderCheckpoint.Hints? = nil
) throws(CommandFailure) -> EncoderCheckpoint {
  guard let data = FileManager.default.contents(atPath: path) else {
    throw CommandFailure(.data, "\(path): there is no such file, or it cannot be read")
  }
  do {
    return try EncoderCheckpoint(parsing: data, hints ?? EncoderCheckpoint.Hints())
  } catch {
    let options = error.missing.map { "--\($0)" }.joined(separator: ", ")
    let remedy = options.isEmpty || hints == nil ? "" : "; give \(options)"
    throw CommandFailure(.data, "\(path): \(error.description)\(remedy)")
  }
}
