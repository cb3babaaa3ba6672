/// The members of a zip archive (PKWARE's APPNOTE 6.3.10), stored or deflated, including the 64-bit extension, which
/// NumPy writes.
package struct ZipArchive {
  /// An entry of the archive's directory.
  package struct Member: Sendable, Hashable {
    /// The path in the archive.
    package let name: String
    let method: Int
    let isEncrypted: Bool
    let compressed: Int
    /// The number of bytes when unpacked.
    package let size: Int
    let checksum: UInt
    /// The position of the local header.
    let header: Int
  }

  /// The path of the archive.
  package let path: String
  /// The members in the order of the archive's directory.
  package private(set) var members: [Member] = []
  private let file: RegularFile

  private static let endBytes = 22
  private static let locatorBytes = 20
  private static let localBytes = 30
  private static let entryBytes = 46
  /// The maximum size of the directory; archives of data sets have smaller ones.
  private static let largestDirectory = 1 << 24

  /// Reads the directory. Throws a ``DatasetError`` if the file is not a zip archive or is inconsistent.
  package init(opening path: String) throws(DatasetError) {
    self.path = path
    file = try RegularFile(path)
    let directory = try readDirectory()
    var offset = 0
    while let entry = Self.entry(directory, at: &offset) { members.append(entry) }
    guard offset == directory.count else { throw damage("its directory is damaged at byte \(offset)") }
  }

  private func damage(_ problem: String) -> DatasetError { .malformed(path: path, problem: problem) }

  /// Returns a reader of a member's bytes. Call ``check(_:_:)`` after reading them.
  package func open(_ member: Member) throws(DatasetError) -> ByteReader {
    let place = "\(path): \(member.name)"
    guard !member.isEncrypted else { throw .malformed(path: place, problem: "is encrypted") }
    guard member.method == 0 || member.method == 8 else {
      throw .malformed(
        path: place, problem: "has compression method \(member.method); must be stored or deflated")
    }
    let local = LittleEndian(try file.bytes(at: member.header, count: Self.localBytes))
    guard local.number(0, 4) == 0x0403_4B50, let name = local.number(26, 2), let extra = local.number(28, 2)
    else { throw .malformed(path: place, problem: "is not at its offset in the archive's directory") }
    let start = member.header + Self.localBytes + name + extra
    guard member.compressed <= file.size - start, member.method == 8 || member.compressed == member.size
    else {
      throw .malformed(path: place, problem: "is cut off, or its size differs from the directory's")
    }
    return try ByteReader(
      file, path: place, start..<start + member.compressed, member.method == 8 ? .deflate : .plain,
      unpacked: member.size)
  }

  /// Throws unless a member was read to its end and its checksum matches.
  package func check(_ member: Member, _ reader: ByteReader) throws(DatasetError) {
    try reader.finish()
    guard reader.position == member.size, reader.checksum == member.checksum else {
      throw .malformed(path: reader.path, problem: "is damaged: its checksum differs")
    }
  }

  // MARK: - Directory

  private func readDirectory() throws(DatasetError) -> [UInt8] {
    // A comment of up to 65,535 bytes may follow the end record.
    let tailStart = max(file.size - Self.endBytes - 0xFFFF, 0)
    let tail = LittleEndian(try file.bytes(at: tailStart, count: file.size - tailStart))
    let last = tail.bytes.count - Self.endBytes
    guard last >= 0,
      let end = stride(from: last, through: 0, by: -1).first(where: { tail.number($0, 4) == 0x0605_4B50 }),
      var size = tail.number(end + 12, 4), var offset = tail.number(end + 16, 4)
    else { throw damage("is not a zip archive, as an npz file is") }
    if size == 0xFFFF_FFFF || offset == 0xFFFF_FFFF {
      guard let large = try largeDirectory(tail, end) else { throw damage("its directory cannot be found") }
      (size, offset) = large
    }
    guard size <= Self.largestDirectory, offset <= file.size, size <= file.size - offset else {
      throw damage("its directory cannot be found")
    }
    return try file.bytes(at: offset, count: size)
  }

  /// Returns the size and offset of the directory of an archive over 4 GB; nil if it is not found.
  private func largeDirectory(_ tail: LittleEndian, _ end: Int) throws(DatasetError) -> (Int, Int)? {
    let locator = end - Self.locatorBytes
    guard tail.number(locator, 4) == 0x0706_4B50, let place = tail.number(locator + 8, 8), place <= file.size
    else { return nil }
    let record = LittleEndian(try file.bytes(at: place, count: 56))
    guard record.number(0, 4) == 0x0606_4B50, let size = record.number(40, 8),
      let offset = record.number(48, 8)
    else { return nil }
    return (size, offset)
  }

  /// Returns the entry at `offset` and advances the offset past it; nil if there is none.
  private static func entry(_ directory: [UInt8], at offset: inout Int) -> Member? {
    let bytes = LittleEndian(directory)
    guard bytes.number(offset, 4) == 0x0201_4B50, let flags = bytes.number(offset + 8, 2),
      let method = bytes.number(offset + 10, 2), let checksum = bytes.number(offset + 16, 4),
      let nameLength = bytes.number(offset + 28, 2), let extraLength = bytes.number(offset + 30, 2),
      let commentLength = bytes.number(offset + 32, 2), let compressed = bytes.number(offset + 20, 4),
      let size = bytes.number(offset + 24, 4), let header = bytes.number(offset + 42, 4)
    else { return nil }
    let name = offset + entryBytes
    let extra = name + nameLength
    let next = extra + extraLength + commentLength
    guard next <= directory.count else { return nil }
    // The extra field contains only the numbers that do not fit into 32 bits, in this order.
    var sizes = [size, compressed, header]
    var large = bytes.largeNumbers(in: extra..<extra + extraLength)
    for index in sizes.indices where sizes[index] == 0xFFFF_FFFF {
      guard !large.isEmpty else { return nil }
      sizes[index] = large.removeFirst()
    }
    offset = next
    return Member(
      name: String(decoding: directory[name..<extra], as: UTF8.self), method: method,
      isEncrypted: flags & 1 != 0, compressed: sizes[1], size: sizes[0], checksum: UInt(checksum),
      header: sizes[2])
  }
}
