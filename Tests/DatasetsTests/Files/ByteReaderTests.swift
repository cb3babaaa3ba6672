import DataFiles
import Datasets
import Testing

@Suite struct ByteReaderTests {
  private let files = try! TestFiles()
  private let bytes = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 / 7) }

  private func reader(_ file: [UInt8]) throws -> ByteReader {
    try ByteReader(opening: files.write("file", file))
  }

  @Test func gzippedOrPlainIsTheSame() throws {
    for file in [bytes, Make.gzip(bytes)] {
      let reader = try reader(file)
      #expect(try reader.read(3) == Array(bytes[..<3]))
      #expect(try reader.read(150_000) == Array(bytes[3..<150_003]))
      #expect(try reader.read(49_997) == Array(bytes[150_003...]))
      try reader.finish()
      #expect(reader.position == 200_000)
    }
  }

  @Test func membersOfAGzipFollowEachOtherAndPaddingDoesNotMatter() throws {
    let reader = try reader(
      Make.gzip(Array(bytes[..<70_000])) + Make.gzip(Array(bytes[70_000...])) + [0, 0, 0])
    #expect(try reader.read(200_000) == bytes)
    try reader.finish()
  }

  @Test func tooFewBytesAreSaidSo() throws {
    for file in [
      Array(bytes.dropLast()), Make.gzip(Array(bytes.dropLast())), Array(Make.gzip(bytes).dropLast(200)),
    ] {
      let error = #expect(throws: DatasetError.self) { try reader(file).read(200_000) }
      #expect(
        error?.description.contains("too early") == true || error?.description.contains("too short") == true)
    }
  }

  /// All bytes are there, but the checksum is missing.
  @Test func aGzipWithoutItsEndIsSaidSo() throws {
    let reader = try reader(Array(Make.gzip(bytes).dropLast(8)))
    #expect(try reader.read(200_000) == bytes)
    let error = #expect(throws: DatasetError.self) { try reader.finish() }
    #expect(error?.description == "\(files.path)/file: is cut off after byte 200000")
  }

  @Test func tooManyBytesAreSaidSo() throws {
    for file in [bytes, Make.gzip(bytes)] {
      let reader = try reader(file)
      _ = try reader.read(199_999)
      let error = #expect(throws: DatasetError.self) { try reader.finish() }
      #expect(error?.description.contains("continues after the 199999 bytes") == true)
    }
  }

  @Test func aDamagedGzipIsSaidSo() throws {
    var file = Make.gzip(Make.noise(10_000, seed: 1))
    file[file.count - 6] ^= 1
    let reader = try reader(file)
    let error = #expect(throws: DatasetError.self) {
      _ = try reader.read(10_000)
      try reader.finish()
    }
    #expect(error?.description.contains("is damaged after byte 10000: incorrect data check") == true)
  }

  /// Impossible sizes are rejected before memory is allocated.
  @Test func whatAFileCannotHoldIsRejectedAtOnce() throws {
    for (file, possible) in [(bytes, 200_000), (Make.gzip(bytes), 10_000_000)] {
      let reader = try reader(file)
      try reader.require(min(possible, 200_000), for: "images")
      for count in [Int.max, 1 << 40, nil] {
        let error = #expect(throws: DatasetError.self) { try reader.require(count, for: "images") }
        #expect(error?.description.contains("is too short for images") == true)
      }
    }
  }

  @Test func aFolderIsNoFile() throws {
    #expect(throws: DatasetError.unreadable(path: files.path, reason: "it is a directory")) {
      try ByteReader(opening: files.path)
    }
  }
}
