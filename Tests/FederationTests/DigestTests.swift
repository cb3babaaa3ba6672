import Federation
import Foundation
import Testing

@Suite struct DigestTests {
  /// The examples of FIPS 180-2, and the digest of no bytes.
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
    (
      String(repeating: "a", count: 1_000_000),
      "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
    ),
  ])
  func isSHA256(text: String, digest: String) {
    #expect(Digest(of: Data(text.utf8)).description == digest)
  }

  @Test func doesNotDependOnThePieces() {
    let bytes = Data((0..<1000).map { UInt8($0 % 251) })
    for cut in [0, 1, 63, 64, 65, 999, 1000] {
      var hasher = Hasher256()
      hasher.update(bytes[..<cut])
      hasher.update(bytes[cut...])
      #expect(hasher.finish() == Digest(of: bytes), "cut at \(cut)")
    }
  }

  @Test func readsItsOwnDescriptionAndNothingElse() throws {
    let digest = Digest(of: Data("abc".utf8))
    let text = digest.description
    #expect(Digest(text) == digest)
    for wrong in [
      "", "abc", text + "0", text.uppercased(), "../" + text.dropFirst(3), " " + text.dropFirst(),
    ] {
      #expect(Digest(wrong) == nil, "\(wrong)")
    }
    #expect(Digest(String(text.dropLast()) + "é") == nil)
    let coded = try JSONEncoder().encode([digest])
    #expect(String(decoding: coded, as: UTF8.self) == "[\"\(text)\"]")
    #expect(try JSONDecoder().decode([Digest].self, from: coded) == [digest])
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode([Digest].self, from: Data("[\"a\"]".utf8))
    }
  }
}
