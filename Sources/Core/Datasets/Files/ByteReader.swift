import CZlib
import Foundation

/// Reads the bytes of a file, or of a part of it, in order, and inflates them if they are compressed.
///
/// Sizes claimed by a file are checked with ``require(_:for:)`` before memory is allocated for them.
package final class ByteReader {
  enum Coding: Sendable, Hashable {
    case plain
    /// Deflated, with gzip headers (RFC 1952).
    case gzip
    /// Deflated, without headers (RFC 1951), as in a zip archive.
    case deflate
  }

  let path: String
  private let file: RegularFile
  private var offset: Int
  private let end: Int
  /// The number of bytes in the file.
  private let packed: Int
  /// The maximum number of inflated bytes.
  private let unpacked: Int
  private let coding: Coding
  /// Allocated separately, because zlib stores its address.
  private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
  private var input: [UInt8] = []
  private var hasEnded = false
  /// Whether the file ended before its deflated stream.
  private var isCutOff = false
  /// The number of bytes read so far.
  package private(set) var position = 0
  /// The CRC-32 of the bytes read so far.
  private(set) var checksum: UInt = crc32(0, nil, 0)

  private static let inputBytes = 1 << 16
  /// The largest accepted compression ratio of data larger than `small`. Images compress less; a higher ratio indicates
  /// a decompression bomb.
  private static let likelyRatio = 256
  private static let small = 1 << 26
  /// The maximum compression ratio of deflate (zlib's technical details).
  private static let largestRatio = 1032

  /// Creates a reader of the file's bytes in `range`, or of the whole file.
  init(
    _ file: RegularFile, path: String, _ range: Range<Int>? = nil, _ coding: Coding = .plain,
    unpacked: Int = .max
  ) throws(DatasetError) {
    (self.file, self.path, self.coding) = (file, path, coding)
    (offset, end) = range.map { ($0.lowerBound, min($0.upperBound, file.size)) } ?? (0, file.size)
    (packed, self.unpacked) = (end - offset, unpacked)
    stream.initialize(to: z_stream())
    guard coding != .plain else { return }
    let windowBits = coding == .gzip ? MAX_WBITS + 16 : -MAX_WBITS
    let status = inflateInit2_(
      stream, windowBits, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard status == Z_OK else { throw .unreadable(path: path, reason: "zlib fails with \(status)") }
  }

  /// Opens a file, and inflates it if it starts with gzip's magic bytes.
  package convenience init(opening path: String) throws(DatasetError) {
    let file = try RegularFile(path)
    let isGzip = try file.bytes(count: 2) == [0x1F, 0x8B]
    try self.init(file, path: path, nil, isGzip ? .gzip : .plain)
  }

  deinit {
    if coding != .plain { inflateEnd(stream) }
    stream.deallocate()
  }

  /// The maximum number of bytes that remain.
  private var most: Int {
    guard coding != .plain else { return end - offset }
    return min(
      (end - offset + Int(stream.pointee.avail_in) + 1) * Self.largestRatio + (1 << 16), unpacked - position)
  }

  /// Throws if `count` bytes cannot remain; nil stands for a number that overflows.
  package func require(_ count: Int?, for what: String) throws(DatasetError) {
    guard let count, count <= most else {
      throw .malformed(
        path: path,
        problem: "is too short for \(what): it has \(most) bytes\(coding == .plain ? "" : " at most")")
    }
    guard coding == .plain || count <= max(Self.small, packed * Self.likelyRatio) else {
      throw .malformed(
        path: path,
        problem:
          "\(packed) bytes would expand to \(count) of \(what), more than \(Self.likelyRatio) times as many"
      )
    }
  }

  /// Reads exactly `count` bytes into memory with space for them.
  func read(_ count: Int, into place: UnsafeMutablePointer<UInt8>) throws(DatasetError) {
    let read = coding == .plain ? try copy(count, into: place) : try inflate(count, into: place)
    position += read
    checksum = crc32_z(checksum, place, read)
    guard read == count else {
      throw .malformed(path: path, problem: "ends after \(position) bytes, \(count - read) too early")
    }
  }

  /// Reads exactly `count` bytes.
  package func read(_ count: Int) throws(DatasetError) -> [UInt8] {
    try require(count, for: "\(count) more bytes")
    var bytes = [UInt8](repeating: 0, count: count)
    let failure: DatasetError? = bytes.withUnsafeMutableBufferPointer { buffer in
      guard let place = buffer.baseAddress else { return nil }
      do throws(DatasetError) {
        try read(count, into: place)
        return nil
      } catch {
        return error
      }
    }
    if let failure { throw failure }
    return bytes
  }

  /// Reads up to `count` bytes into memory with space for them; fewer only at the end, whose checksums must match.
  func readUpTo(_ count: Int, into place: UnsafeMutablePointer<UInt8>) throws(DatasetError) -> Int {
    let read = coding == .plain ? try copy(count, into: place) : try inflate(count, into: place)
    position += read
    if read < count { try finish() }
    return read
  }

  /// The number of bytes that remain in the file; nil if they are compressed.
  var remaining: Int? { coding == .plain ? end - offset : nil }

  /// Throws unless all bytes have been read and their checksums match.
  package func finish() throws(DatasetError) {
    var byte: UInt8 = 0
    let rest = coding == .plain ? end - offset : try inflate(1, into: &byte)
    guard !isCutOff else { throw .malformed(path: path, problem: "is cut off after byte \(position)") }
    guard rest == 0 else {
      throw .malformed(path: path, problem: "continues after the \(position) bytes that its header declares")
    }
  }

  private func copy(_ count: Int, into place: UnsafeMutablePointer<UInt8>) throws(DatasetError) -> Int {
    let read = try file.read(min(count, end - offset), at: offset, into: place)
    offset += read
    return read
  }

  /// Inflates up to `count` bytes; fewer only at the end.
  private func inflate(_ count: Int, into place: UnsafeMutablePointer<UInt8>) throws(DatasetError) -> Int {
    var done = 0
    while done < count && !hasEnded {
      if stream.pointee.avail_in == 0 { try refill() }
      let part = min(count - done, 1 << 30)
      let (status, left): (Int32, Int) = input.withUnsafeMutableBufferPointer { buffer in
        stream.pointee.next_in = buffer.baseAddress.map { $0 + (buffer.count - Int(stream.pointee.avail_in)) }
        (stream.pointee.next_out, stream.pointee.avail_out) = (place + done, UInt32(part))
        return (CZlib.inflate(stream, Z_NO_FLUSH), Int(stream.pointee.avail_out))
      }
      done += part - left
      switch status {
      case Z_OK: break
      case Z_STREAM_END: try endMember()
      case Z_BUF_ERROR where stream.pointee.avail_in == 0 && offset < end: break
      case Z_BUF_ERROR: (hasEnded, isCutOff) = (true, true)
      default:
        let reason = stream.pointee.msg.map { String(cString: $0) } ?? "zlib fails with \(status)"
        throw .malformed(path: path, problem: "is damaged after byte \(position + done): \(reason)")
      }
    }
    return done
  }

  private func refill() throws(DatasetError) {
    input = try file.bytes(at: offset, count: min(Self.inputBytes, end - offset))
    offset += input.count
    stream.pointee.avail_in = UInt32(input.count)
  }

  /// Handles the end of a gzip member. A file may contain several (RFC 1952, 2.2); other bytes that follow are padding.
  private func endMember() throws(DatasetError) {
    if stream.pointee.avail_in == 0 && offset < end { try refill() }
    guard coding == .gzip, stream.pointee.avail_in > 0,
      input[input.count - Int(stream.pointee.avail_in)] == 0x1F
    else {
      hasEnded = true
      return
    }
    inflateReset(stream)
  }
}

/// Little-endian numbers among bytes.
struct LittleEndian {
  let bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// Returns the unsigned number of `count` bytes at an offset; nil if it is out of bounds or above `Int.max`.
  func number(_ offset: Int, _ count: Int) -> Int? {
    guard offset >= 0, offset <= bytes.count - count else { return nil }
    var value: UInt64 = 0
    for index in 0..<count { value |= UInt64(bytes[offset + index]) << (8 * UInt64(index)) }
    return Int(exactly: value)
  }

  /// Returns the 8-byte numbers in a zip entry's extra field 1.
  func largeNumbers(in range: Range<Int>) -> [Int] {
    var offset = range.lowerBound
    while offset + 4 <= range.upperBound, let kind = number(offset, 2), let length = number(offset + 2, 2) {
      let end = offset + 4 + length
      guard end <= range.upperBound else { return [] }
      if kind == 1 { return stride(from: offset + 4, to: end - 7, by: 8).compactMap { number($0, 8) } }
      offset = end
    }
    return []
  }
}
