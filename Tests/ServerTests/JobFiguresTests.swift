import Federation
import Foundation
import Server
import Support
import TestSupport
import Testing

@Suite struct JobFiguresTests {
  /// The check value of the polynomial (RFC 3720, B.4: 32 bytes of zeros, of ones, and ascending).
  @Test func theChecksumIsCastagnolis() {
    #expect(CRC32C.checksum(Data(count: 32)) == 0x8A91_36AA)
    #expect(CRC32C.checksum(Data(repeating: 0xFF, count: 32)) == 0x62A8_AB43)
    #expect(CRC32C.checksum(Data(0..<32)) == 0x46DD_794E)
    #expect(CRC32C.checksum(Data("123456789".utf8)) == 0xE306_9283)
  }

  /// The records are TFRecord's: length, checksum, bytes, checksum; the first names the format.
  @Test func aFileOfEventsIsAListOfRecords() throws {
    try withTemporaryFolder { folder in
      do {
        let file = try EventFile(in: folder)
        try file.append("round/loss", 2.5, step: 3, at: Date(timeIntervalSince1970: 1000))
      }
      let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
      let name = try #require(names.first)
      #expect(names.count == 1 && name.hasPrefix("events.out.tfevents."))
      var rest = try Data(contentsOf: folder.appendingPathComponent(name))
      var records: [Data] = []
      while !rest.isEmpty {
        let length = rest.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        records.append(Data(rest.dropFirst(12).prefix(length)))
        rest = Data(rest.dropFirst(12 + length + 4))
      }
      #expect(records.count == 2 && records[0].suffix(13) == Data("brain.Event:2".utf8))
      var event = ProtobufWriter()
      event.write(1, 1000.0)
      event.write(2, 3)
      event.write(
        5,
        message: {
          $0.write(
            1,
            message: {
              $0.write(1, "round/loss"); $0.write(2, Float(2.5))
            })
        })
      #expect(records[1] == event.bytes)
    }
  }

  @Test func cellsWithCommasAreQuoted() {
    var table = CSV(["client", "value"])
    table.append(["a,b", "1"])
    table.append(["say \"no\"\nor yes", nil])
    #expect(table.text == "client,value\n\"a,b\",1\n\"say \"\"no\"\"\nor yes\",\n")
  }
}
