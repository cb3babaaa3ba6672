import Foundation
import Support

/// A file of events, as TensorBoard reads them: records of TensorFlow (TFRecord) with messages of type Event.
package final class EventFile {
  private let file: FileHandle

  /// Creates a file with a name that no other has. Throws errors of `Foundation`.
  package init(in folder: URL) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let time = Date()
    // TensorBoard reads the files of a folder by name; the word in the name shows it what they are.
    let name = "events.out.tfevents.\(Int(time.timeIntervalSince1970)).strata.\(UUID().uuidString.prefix(8))"
    let url = folder.appendingPathComponent(name)
    try Data().write(to: url, options: .withoutOverwriting)
    file = try FileHandle(forWritingTo: url)
    var event = ProtobufWriter()
    event.write(1, time.timeIntervalSince1970)
    event.write(3, "brain.Event:2")
    try append(event.bytes)
  }

  deinit { try? file.close() }

  /// Appends a value of a curve. Throws errors of `Foundation`.
  package func append(_ tag: String, _ value: Double, step: Int, at time: Date) throws {
    var event = ProtobufWriter()
    event.write(1, time.timeIntervalSince1970)
    event.write(2, step)
    event.write(
      5,
      message: { summary in
        summary.write(
          1,
          message: { entry in
            entry.write(1, tag)
            entry.write(2, Float(value))
          })
      })
    try append(event.bytes)
  }

  /// Appends a record: its length, the length's checksum, the bytes, and their checksum.
  private func append(_ bytes: Data) throws {
    let length = withUnsafeBytes(of: UInt64(bytes.count).littleEndian) { Data($0) }
    try file.write(contentsOf: length + Self.checksum(length) + bytes + Self.checksum(bytes))
  }

  /// Returns the masked CRC-32C of a record (TFRecord's format).
  private static func checksum(_ bytes: Data) -> Data {
    let crc = CRC32C.checksum(bytes)
    let masked = (crc >> 15 | crc << 17) &+ 0xA282_EAD8
    return withUnsafeBytes(of: masked.littleEndian) { Data($0) }
  }
}

/// The checksum with Castagnoli's polynomial (RFC 3720, 12.1). zlib has only the other polynomial.
package enum CRC32C {
  private static let table: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1 }
  }

  package static func checksum(_ bytes: Data) -> UInt32 {
    ~bytes.reduce(~UInt32(0)) { $0 >> 8 ^ table[Int(($0 ^ UInt32($1)) & 0xFF)] }
  }
}
