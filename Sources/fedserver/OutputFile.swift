import Commands
import Datasets
import Foundation

/// Writes a file: whoever reads it finds the old one or the whole new one. A folder or a device is never replaced.
/// Throws ``CommandFailure`` with its name.
func writeFile(_ bytes: Data, to out: String) throws(CommandFailure) {
  let file = URL(fileURLWithPath: out).resolvingSymlinksInPath()
  let there = try? FileManager.default.attributesOfItem(atPath: file.path)[.type] as? FileAttributeType
  guard there ?? .typeRegular == .typeRegular else {
    throw CommandFailure(.store, "\(out): it is there, and is no regular file")
  }
  do {
    try bytes.write(to: file, options: .atomic)
  } catch {
    throw CommandFailure(.store, "\(out): \(error.systemWords)")
  }
}
