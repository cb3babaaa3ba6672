import Foundation

/// A path, or a part of one, as the system has it: bytes, which need be no text. Two are equal where their bytes are,
/// however alike they look, and their order is that of their bytes.
struct FilePath: Sendable, Hashable, Comparable, CustomStringConvertible {
  let bytes: [UInt8]

  private static let slash = UInt8(ascii: "/")

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  init(_ text: String) { bytes = Array(text.utf8) }

  static func < (one: FilePath, other: FilePath) -> Bool {
    one.bytes.lexicographicallyPrecedes(other.bytes)
  }

  /// For people: what is no text in it is shown as U+FFFD.
  var description: String { String(decoding: bytes, as: UTF8.self) }

  /// What is called `name` in this folder; the path of nothing is that of the folder itself.
  func appending(_ name: FilePath) -> FilePath {
    bytes.isEmpty ? name : name.bytes.isEmpty ? self : FilePath(bytes + [Self.slash] + name.bytes)
  }

  /// The folder at the top that it lies in; nil where it lies in none.
  var topFolder: FilePath? { bytes.firstIndex(of: Self.slash).map { FilePath(Array(bytes[..<$0])) } }

  /// Calls the system with the path.
  func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
    (bytes + [0]).withUnsafeBytes { bytes in
      bytes.withMemoryRebound(to: CChar.self) { characters in
        guard let start = characters.baseAddress else { preconditionFailure("a path without an end") }
        return body(start)
      }
    }
  }
}
