import Foundation

extension FileHandle {
  /// The next bytes that come through a pipe, at most 64 KiB; none at its end. Unlike `availableData` it goes on
  /// when a signal interrupts it, such as that of a child's end.
  package func nextBytes() -> Data {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(fileDescriptor, &buffer, buffer.count)
      if count < 0 && errno == EINTR { continue }
      return Data(buffer.prefix(max(count, 0)))
    }
  }

  /// All that comes through a pipe, to its end.
  package func allBytes() -> Data {
    var all = Data()
    while case let bytes = nextBytes(), !bytes.isEmpty { all += bytes }
    return all
  }
}
