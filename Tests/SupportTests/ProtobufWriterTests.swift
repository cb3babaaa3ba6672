import Foundation
import Support
import Testing

/// The bytes are those of protobuf.dev's page on the encoding.
@Suite struct ProtobufWriterTests {
  private func bytes(_ body: (inout ProtobufWriter) -> Void) -> [UInt8] {
    var writer = ProtobufWriter()
    body(&writer)
    return Array(writer.bytes)
  }

  @Test func integersTakeSevenBitsAByte() {
    #expect(bytes { $0.write(1, 150) } == [0x08, 0x96, 0x01])
    #expect(bytes { $0.write(1, 0) } == [0x08, 0x00])
    #expect(bytes { $0.write(20, 127) } == [0xA0, 0x01, 0x7F])
    #expect(bytes { $0.write(1, -2) } == [0x08, 0xFE] + [UInt8](repeating: 0xFF, count: 8) + [0x01])
    #expect(bytes { $0.write(1, .max) } == [0x08] + [UInt8](repeating: 0xFF, count: 8) + [0x7F])
  }

  @Test func textsHaveTheirLengthInFront() {
    #expect(bytes { $0.write(2, "testing") } == [0x12, 0x07] + Array("testing".utf8))
    #expect(bytes { $0.write(2, "ü") } == [0x12, 0x02, 0xC3, 0xBC])
    #expect(bytes { $0.write(2, Data()) } == [0x12, 0x00])
    #expect(bytes { $0.write(2, Data(count: 200)) }.prefix(3) == [0x12, 0xC8, 0x01])
  }

  @Test func floatsAreLittleEndian() {
    #expect(bytes { $0.write(2, Float(1)) } == [0x15, 0x00, 0x00, 0x80, 0x3F])
  }

  @Test func messagesStandInMessages() {
    #expect(bytes { $0.write(3) { $0.write(1, 150) } } == [0x1A, 0x03, 0x08, 0x96, 0x01])
    #expect(bytes { $0.write(3) { _ in } } == [0x1A, 0x00])
  }

  @Test func doublesAreLittleEndian() {
    #expect(bytes { $0.write(1, 1.0 as Double) } == [0x09, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F])
  }
}
