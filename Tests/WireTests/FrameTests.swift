import Engine
import Federation
import Foundation
import TestSupport
import Testing
import Wire

@Suite(.unhurried) struct FrameTests {
  /// `update` with a head of two bytes and a payload of two, byte by byte as in docs/protocol.md.
  private static let example: [UInt8] = [
    0x00, 0x00, 0x00, 0x0E,  // 14 bytes follow
    0x01,  // version
    0x08,  // kind: update
    0x00, 0x00, 0x00, 0x02,  // bytes of the head
    0x7B, 0x7D,  // {}
    0xAA, 0xBB,  // payload
    0x25, 0x1C, 0x10, 0xC9,  // CRC-32 of version to payload
  ]
  private static let exampleFrame = Frame(kind: 8, head: Data("{}".utf8), payload: Data([0xAA, 0xBB]))

  @Test func aFramesBytesAreThoseOfTheProtocol() throws {
    #expect(Array(Self.exampleFrame.encoded()) == Self.example)
    #expect(Self.exampleFrame.count == Self.example.count)
    #expect(try decode(Self.example) == Self.exampleFrame)
  }

  @Test func anyFrameComesBackEqual() throws {
    for seed in UInt64(0)..<300 {
      var numbers = RandomNumbers(seed)
      let frame = Frame.random(&numbers, upTo: 3000)
      let bytes = frame.encoded()
      #expect(bytes.count == frame.count, "seed \(seed)")
      #expect(try decode(Array(bytes)) == frame, "seed \(seed)")
    }
  }

  @Test func bytesMayComeOneByOne() throws {
    var decoder = FrameDecoder(limit: 1000)
    for (index, byte) in Self.example.enumerated() {
      #expect(try decoder.next() == nil, "after \(index) bytes")
      decoder.append([byte])
    }
    #expect(try decoder.next() == Self.exampleFrame)
    #expect(try decoder.next() == nil)
    #expect(decoder.pending == 0)
  }

  @Test func aStreamIsCutWhereverItsReadsEnd() throws {
    for seed in UInt64(0)..<100 {
      var numbers = RandomNumbers(seed)
      let frames = (0..<12).map { _ in Frame.random(&numbers, upTo: 200) }
      var stream = frames.map { $0.encoded() }.reduce(Data(), +)
      var decoder = FrameDecoder(limit: 1000)
      var found: [Frame] = []
      while !stream.isEmpty {
        let piece = stream.prefix(1 + numbers.below(600))
        stream = Data(stream.dropFirst(piece.count))
        decoder.append(piece)
        while let frame = try decoder.next() { found.append(frame) }
      }
      #expect(found == frames, "seed \(seed)")
      #expect(decoder.pending == 0, "seed \(seed)")
    }
  }

  @Test func everyTruncationWaitsForMore() throws {
    var numbers = RandomNumbers(5)
    let bytes = Frame.random(&numbers, upTo: 200).encoded()
    for count in 0..<bytes.count {
      var decoder = FrameDecoder(limit: 1000)
      decoder.append(bytes.prefix(count))
      #expect(try decoder.next() == nil, "\(count) of \(bytes.count) bytes")
      #expect(decoder.pending == count)
    }
  }

  /// A flipped bit makes the decoder wait for more bytes or is an error; it never gives another frame.
  @Test func noFlippedBitIsAccepted() {
    for bit in 0..<Self.example.count * 8 {
      var bytes = Self.example
      bytes[bit / 8] ^= 1 << (bit % 8)
      var decoder = FrameDecoder(limit: 1 << 20)
      decoder.append(bytes)
      do {
        #expect(try decoder.next() == nil, "bit \(bit)")
        #expect(bit < 32, "bit \(bit) is behind the length, and the frame waits")
      } catch {
        // A bit of the length can cause any of these errors; all others cause a checksum error.
        switch error {
        case .checksum: break
        case .tooLong, .malformed: #expect(bit < 32, "bit \(bit): \(error)")
        default: Issue.record("bit \(bit): \(error)")
        }
      }
    }
  }

  @Test func aLengthOverTheLimitIsRejectedByItsFourBytes() {
    for (limit, length) in [(100, 101), (100, Int(UInt32.max)), (4096, 4097)] {
      var decoder = FrameDecoder(limit: limit)
      decoder.append(withUnsafeBytes(of: UInt32(length).bigEndian) { Array($0) })
      let error = #expect(throws: WireError.self) { try decoder.next() }
      #expect(error == .tooLong(bytes: length, limit: limit))
    }
  }

  @Test func aFrameOfTheLimitIsTaken() throws {
    let frame = Frame(kind: 1, head: Data("{}".utf8), payload: Data(count: 84))
    #expect(frame.count - 4 == 96)
    #expect(try decode(Array(frame.encoded()), limit: 96) == frame)
    #expect(throws: WireError.tooLong(bytes: 96, limit: 95)) {
      try decode(Array(frame.encoded()), limit: 95)
    }
  }

  /// A peer that never completes its frames uses at most the memory of one frame and one read.
  @Test func whatWaitsIsBounded() throws {
    let (limit, read) = (1000, 64)
    let stream = Frame(kind: 3, head: Data(), payload: Data(count: limit - 10)).encoded()
    var decoder = FrameDecoder(limit: limit)
    var (most, frames) = (0, 0)
    for start in stride(from: 0, to: 50 * stream.count, by: read) {
      decoder.append((start..<start + read).map { stream[$0 % stream.count] })
      while try decoder.next() != nil { frames += 1 }
      most = max(most, decoder.pending)
    }
    #expect(frames == 50)
    #expect(most <= limit + 4 + read)
  }

  @Test(arguments: [0, 1, 9]) func aLengthUnderTheShortestIsMalformed(length: UInt8) {
    var decoder = FrameDecoder(limit: 1000)
    decoder.append([0, 0, 0, length] + [UInt8](repeating: 0, count: 20))
    let error = #expect(throws: WireError.self) { try decoder.next() }
    #expect(error == .malformed("a length of \(length)"))
  }

  @Test func aHeadBeyondItsFrameIsMalformed() {
    for head in [UInt32(5), 100, .max] {
      var bytes = Self.example
      bytes.replaceSubrange(6..<10, with: withUnsafeBytes(of: head.bigEndian) { Array($0) })
      seal(&bytes)
      let error = #expect(throws: WireError.self) { try decode(bytes) }
      #expect(error == .malformed("a head of \(head) bytes in a frame of 14"))
    }
  }

  @Test func anotherVersionIsRejectedByName() {
    var bytes = Self.example
    bytes[4] = 2
    seal(&bytes)
    let error = #expect(throws: WireError.self) { try decode(bytes) }
    #expect(error == .unknownVersion(2))
  }

  @Test func randomBytesNeverTrap() {
    var frames = 0
    for seed in UInt64(0)..<100_000 {
      var numbers = RandomNumbers(seed)
      var decoder = FrameDecoder(limit: 4096)
      decoder.append((0..<numbers.below(64)).map { _ in UInt8(truncatingIfNeeded: numbers.next() >> 32) })
      do {
        while try decoder.next() != nil { frames += 1 }
      } catch {}
    }
    #expect(frames == 0, "random bytes with a right checksum, in seeds 0 ..< 100000")
  }

  /// Random bytes seldom pass the length check; these do, and reach the checksum, the head and the JSON.
  @Test func damagedFramesNeverTrapNorBecomeAnotherMessage() {
    for seed in UInt64(0)..<20_000 {
      var numbers = RandomNumbers(seed)
      var bytes = Array(Frame.random(&numbers, upTo: 60).encoded())
      for _ in 0...numbers.below(3) { bytes[4 + numbers.below(bytes.count - 4)] = UInt8(numbers.below(256)) }
      if numbers.chance(0.5) { seal(&bytes) }
      do { _ = try Message(decode(bytes)) } catch {}
    }
  }

  private func decode(_ bytes: [UInt8], limit: Int = 1 << 20) throws(WireError) -> Frame {
    var decoder = FrameDecoder(limit: limit)
    decoder.append(bytes)
    guard let frame = try decoder.next() else { throw .closed }
    return frame
  }

  /// Updates the checksum of a modified frame.
  private func seal(_ bytes: inout [UInt8]) {
    var crc: UInt32 = 0xFFFF_FFFF
    for byte in bytes[4..<bytes.count - 4] {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
    }
    withUnsafeBytes(of: (~crc).bigEndian) { bytes.replaceSubrange((bytes.count - 4)..., with: $0) }
  }
}
