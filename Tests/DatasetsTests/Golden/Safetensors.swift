import Foundation

/// The float32 tensors of a safetensors file: an 8-byte length, a JSON header, and the numbers.
struct Safetensors {
  struct Tensor {
    let shape: [Int]
    let values: [Float]
  }

  struct Malformed: Error {}

  private struct Entry: Decodable {
    let dtype: String
    let shape: [Int]
    let data_offsets: [Int]
  }

  let tensors: [String: Tensor]

  init(_ url: URL) throws {
    let data = try Data(contentsOf: url)
    guard data.count >= 8 else { throw Malformed() }
    let length = Int(data.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) })
    let body = 8 + length
    guard body <= data.count else { throw Malformed() }
    var entries = try JSONDecoder().decode([String: Loose].self, from: data[8..<body])
    entries["__metadata__"] = nil
    tensors = try entries.mapValues { loose in
      guard let entry = loose.entry, entry.dtype == "F32", entry.data_offsets.count == 2 else {
        throw Malformed()
      }
      let bytes = data[body + entry.data_offsets[0]..<body + entry.data_offsets[1]]
      let values = bytes.withUnsafeBytes { raw in
        (0..<raw.count / 4).map { raw.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self) }
      }
      return Tensor(shape: entry.shape, values: values)
    }
  }

  /// A header entry that may be metadata rather than a tensor.
  private struct Loose: Decodable {
    let entry: Entry?
    init(from decoder: any Decoder) { entry = try? Entry(from: decoder) }
  }
}
