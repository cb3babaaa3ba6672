import DataFiles
import Datasets
import Foundation
import Testing

@Suite struct ZipArchiveTests {
  private let files = try! TestFiles()
  private let bytes = Make.noise(5000, seed: 1) + [UInt8](repeating: 0, count: 5000)

  private func archive(_ file: [UInt8]) throws -> ZipArchive {
    try ZipArchive(opening: files.write("a.zip", file))
  }

  private func read(_ archive: ZipArchive, _ index: Int) throws -> [UInt8] {
    let member = archive.members[index]
    let reader = try archive.open(member)
    let bytes = try reader.read(member.size)
    try archive.check(member, reader)
    return bytes
  }

  @Test(arguments: [true, false])
  func membersComeBackStoredOrDeflated(deflated: Bool) throws {
    let archive = try archive(
      Make.zip([("a", bytes), ("b/c", [1, 2, 3]), ("empty", [])], deflated: deflated))
    #expect(archive.members.map(\.name) == ["a", "b/c", "empty"])
    #expect(try read(archive, 0) == bytes)
    #expect(try read(archive, 1) == [1, 2, 3])
    #expect(try read(archive, 2) == [])
  }

  @Test func aCommentAtTheEndDoesNotMatter() throws {
    var file = Make.zip([("a", bytes)])
    file.replaceSubrange(
      file.count - 2..<file.count, with: Make.little(500, 2) + [UInt8](repeating: 80, count: 500))
    #expect(try read(archive(file), 0) == bytes)
  }

  /// Numbers above 32 bits are in the extra field; those of the directory are in a separate record.
  @Test func theExtensionFor64BitsIsRead() throws {
    let (name, checksum) = (Array("big".utf8), Array(Make.gzip(bytes).suffix(8).prefix(4)))
    let full = [UInt8](repeating: 0xFF, count: 4)
    func join(_ parts: [[UInt8]]) -> [UInt8] { parts.flatMap { $0 } }
    // Version, flags and method, time and date, checksum, and two sizes that are placeholders.
    let shared = join([Make.little(20, 2), Make.little(0, 8), checksum, full, full, Make.little(3, 2)])
    let local = join([Make.little(0x0403_4B50, 4), shared, Make.little(0, 2), name])
    let extra = join([
      Make.little(1, 2), Make.little(24, 2), Make.little(bytes.count, 8), Make.little(bytes.count, 8),
      Make.little(0, 8),
    ])
    let entry = join([
      Make.little(0x0201_4B50, 4), Make.little(45, 2), shared, Make.little(extra.count, 2),
      Make.little(0, 10), full,
      name, extra,
    ])
    let place = local.count + bytes.count
    let record = join([
      Make.little(0x0606_4B50, 4), Make.little(44, 8), Make.little(0, 28), Make.little(entry.count, 8),
      Make.little(place, 8),
    ])
    let locator = join([
      Make.little(0x0706_4B50, 4), Make.little(0, 4), Make.little(place + entry.count, 8), Make.little(1, 4),
    ])
    let end = join([Make.little(0x0605_4B50, 4), Make.little(0, 8), full, full, Make.little(0, 2)])
    let archive = try archive(join([local, bytes, entry, record, locator, end]))
    #expect(archive.members.map(\.name) == ["big"])
    #expect(try read(archive, 0) == bytes)
  }

  @Test func aDamagedMemberIsFound() throws {
    var file = Make.zip([("a", bytes)], deflated: false)
    file[100] ^= 1
    let error = #expect(throws: DatasetError.self) { try read(archive(file), 0) }
    #expect(error?.description == "\(files.path)/a.zip: a: is damaged: its checksum differs")
  }

  @Test func whatIsNoArchiveIsRejected() throws {
    for file in [[], bytes, Array(Make.zip([("a", bytes)]).dropLast(30))] {
      let error = #expect(throws: DatasetError.self) { try archive(file) }
      #expect(error?.description == "\(files.path)/a.zip: is not a zip archive, as an npz file is")
    }
  }

  @Test func encryptedAndOtherwisePackedMembersAreRejected() throws {
    let whole = Make.zip([("a", bytes)])
    let entry = try #require(Data(whole).range(of: Data(Make.little(0x0201_4B50, 4)))).lowerBound
    for (offset, value, text) in [(8, UInt8(1), "is encrypted"), (10, 12, "has compression method 12")] {
      var file = whole
      file[entry + offset] = value
      let archive = try archive(file)
      let error = #expect(throws: DatasetError.self) { try archive.open(archive.members[0]) }
      #expect(error?.description.contains(text) == true)
    }
  }
}
