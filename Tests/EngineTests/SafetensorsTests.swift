import Engine
import Foundation
import Testing

@Suite struct SafetensorsTests {
  private static func sample() -> Safetensors {
    var file = Safetensors()
    file.add("z.weight", Safetensors.Tensor(shape: [2, 3], values: [1, -2, 3.5, .infinity, 0, -0.0]))
    file.add("a \"quoted\" ü/name", Safetensors.Tensor(shape: [], values: [7]))
    file.add("empty", Safetensors.Tensor(shape: [0, 4], values: []))
    file.add("cls_token", Safetensors.Tensor(shape: [1, 1, 2], values: [.leastNonzeroMagnitude, 3e38]))
    return file
  }

  /// Returns a file with a header given as text.
  private static func file(_ header: String, data: Int = 0) -> Data {
    let length = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) }
    return length + Data(header.utf8) + Data(count: data)
  }

  @Test func roundTrip() throws {
    let (file, data) = (Self.sample(), try Self.sample().encoded())
    let read = try Safetensors(parsing: data)
    #expect(read.tensors == file.tensors)
    #expect(Set(read.names) == Set(file.names))
    #expect(read.tensors["z.weight"]?.values.map(\.bitPattern).last == (-0.0 as Float).bitPattern)
    #expect(try Self.sample().encoded() == data)
    // The indices of a slice do not start at 0.
    #expect(try Safetensors(parsing: (Data(count: 5) + data).dropFirst(5)).tensors == file.tensors)
  }

  @Test func theDataStartsOnAMultipleOfEightInTheOrderOfAdding() throws {
    let data = try Self.sample().encoded()
    let length = data.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    #expect(length % 8 == 0 && data.count == 8 + length + 4 * 9)
    #expect(data[(8 + length)..<(12 + length)] == Data([0, 0, 0x80, 0x3F]))
  }

  @Test func metadataAreReadAndWritten() throws {
    var file = Self.sample()
    file.metadata = ["format": "pt", "a \"b\" ü": "{\"x\":[1,2]}\n"]
    let data = try file.encoded()
    let read = try Safetensors(parsing: data)
    #expect(read.metadata == file.metadata && read.tensors == file.tensors)
    #expect(try Safetensors(parsing: Self.sample().encoded()).metadata.isEmpty)
    // Without metadata the file is the same as before they existed.
    file.metadata = [:]
    #expect(try file.encoded() == Self.sample().encoded())
    let length = data.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    #expect(length % 8 == 0 && data.count == 8 + length + 4 * 9)
  }

  @Test func metadataAreNoTensor() async throws {
    let header = #"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#
    #expect(try Safetensors(parsing: Self.file(header, data: 8)).tensors["a"]?.values == [0, 0])
    #expect(try Safetensors(parsing: Self.file("{}")).names.isEmpty)
    await #expect(processExitsWith: .failure) {
      var file = Safetensors()
      file.add("__metadata__", Safetensors.Tensor(shape: [1], values: [0]))
    }
  }

  @Test func everyTruncationIsRefused() throws {
    let data = try Self.sample().encoded()
    for count in 0..<data.count {
      #expect(throws: Safetensors.FormatError.self, "\(count) bytes") {
        try Safetensors(parsing: data.prefix(count))
      }
    }
    let error = #expect(throws: Safetensors.FormatError.self) { try Safetensors(parsing: data.dropLast()) }
    #expect(error?.description == "it is cut off: cls_token ends at byte 36 of its data, which has 35")
  }

  /// With any bit flipped, a file is read or rejected; no other error is thrown, and nothing traps.
  @Test func flippedBitsNeverTrap() throws {
    let data = try Self.sample().encoded()
    var random = RandomNumbers(221)
    for round in 0..<3000 {
      var flipped = data
      for _ in 0...random.below(3) { flipped[random.below(data.count)] ^= 1 << UInt8(random.below(8)) }
      do {
        let read = try Safetensors(parsing: flipped)
        for tensor in read.tensors.values { #expect(tensor.shape.reduce(1, *) == tensor.values.count) }
      } catch {
        #expect(error is Safetensors.FormatError, "\(error), round \(round), seed 221")
      }
    }
  }

  @Test(arguments: [
    #"{"__metadata__":[]}"#, #"{"__metadata__":{"a":1}}"#, #"{"__metadata__":null}"#,
    #"[]"#, #"{"#, #""text""#, #"{"a":1}"#, #"{"a":{}}"#, #"{"a":{"dtype":"F32","shape":[1]}}"#,
    #"{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}"#,
    #"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,-4]}}"#,
    #"{"a":{"dtype":"F32","shape":[-1,-1],"data_offsets":[0,4]}}"#,
    #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
    #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#,
    #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}"#,
    #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}"#,
    #"{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,6]}}"#,
    #"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#,
    #"{"a":{"dtype":"F32","shape":[4294967295,4294967295],"data_offsets":[0,4]}}"#,
    #"{"a":{"dtype":"F32","shape":[4294967295,4294967295,4294967295,0],"data_offsets":[0,0]}}"#,
    #"{"a":{"dtype":"F32","shape":[9223372036854775807],"data_offsets":[0,4]}}"#,
    #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[9223372036854775803,9223372036854775807]}}"#,
    #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[-9223372036854775808,9223372036854775807]}}"#,
    #"{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}"#,
    #"{"a":{"dtype":"F32","shape":[1e300],"data_offsets":[0,1e300]}}"#,
  ])
  func refuses(header: String) {
    #expect(throws: Safetensors.FormatError.self) { try Safetensors(parsing: Self.file(header, data: 8)) }
  }

  /// By the format, every byte of the data belongs to a tensor, even to unused ones.
  @Test(arguments: [
    (
      #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
      "bytes 4 to 8 of its data belong to no tensor"
    ),
    (
      #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
      "bytes 0 to 4 of its data belong to no tensor"
    ),
    (
      #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F16","shape":[2],"data_offsets":[4,8]}}"#,
      "b: its bytes also belong to a"
    ),
    ("{}", "bytes 0 to 8 of its data belong to no tensor"),
  ])
  func bytesOfNoTensorOrOfTwoAreRefused(header: String, problem: String) {
    let error = #expect(throws: Safetensors.FormatError.self) {
      try Safetensors(parsing: Self.file(header, data: 8)) { $0 == "a" }
    }
    #expect(error?.description == problem)
  }

  @Test func textIsSaidToBeNoSafetensorsFile() {
    let error = #expect(throws: Safetensors.FormatError.self) {
      try Safetensors(parsing: Data("This is a text, and longer than eight bytes.".utf8))
    }
    #expect(error?.description == "it is not a safetensors file")
  }

  @Test func hugeHeadersAndDeepOnesAreRefused() {
    for length: UInt64 in [.max, 1 << 63, 1 << 40, 9] {
      let data = withUnsafeBytes(of: length.littleEndian) { Data($0) } + Data("{}      ".utf8)
      #expect(throws: Safetensors.FormatError.self, "\(length)") { try Safetensors(parsing: data) }
    }
    let deep = #"{"a":"# + String(repeating: "[", count: 100_000)
    #expect(throws: Safetensors.FormatError.self) { try Safetensors(parsing: Self.file(deep)) }
  }

  @Test func aNameGivenTwiceTraps() async {
    await #expect(processExitsWith: .failure) {
      var file = Safetensors()
      for _ in 0..<2 { file.add("a", Safetensors.Tensor(shape: [1], values: [0])) }
    }
  }
}
