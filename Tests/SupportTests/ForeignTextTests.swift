import Foundation
import Support
import Testing

@Suite struct ForeignTextTests {
  @Test(arguments: [
    ("plain, with spaces", "plain, with spaces"), ("", ""), ("straße 図 🙂", "straße 図 🙂"),
    ("two\nlines\r\n", #"two\nlines\r\n"#),
    ("\u{1B}[2J\u{1B}]0;title\u{7}", #"\u{1B}[2J\u{1B}]0;title\u{7}"#),
    ("tab\tnul\0del\u{7F}", #"tab\tnul\u{0}del\u{7F}"#),
    // C1: a single character with the effect of ESC [.
    ("\u{9B}2J", #"\u{9B}2J"#),
    // Characters that reorder text, and invisible ones.
    ("a\u{202E}b\u{2066}c\u{200B}d\u{FEFF}", #"a\u{202E}b\u{2066}c\u{200B}d\u{FEFF}"#),
    ("a\u{2028}b\u{2029}c\u{85}", #"a\u{2028}b\u{2029}c\u{85}"#),
    ("\u{E000}\u{E0041}", #"\u{E000}\u{E0041}"#),
    // One combining mark makes a letter; many stack up.
    ("e\u{301}", "e\u{301}"), ("\u{301}e", #"\u{301}e"#),
    ("e\u{301}\u{302}\u{303}", "e\u{301}\u{302}\\u{303}"),
  ])
  func whatIsNotPlainIsEscaped(text: String, shown: String) {
    #expect(
      ForeignText(text).description.unicodeScalars.elementsEqual(shown.unicodeScalars),
      "\(text.debugDescription)")
  }

  @Test func whatIsTooLongIsCutOff() {
    let exact = String(repeating: "x", count: ForeignText.limit)
    #expect(ForeignText(exact).description == exact)
    #expect(ForeignText(exact + "y").description == exact.dropLast() + "…")
    // An escape is complete or omitted.
    #expect(ForeignText("abc\u{1B}de", limit: 10).description == #"abc\u{1B}…"#)
    #expect(ForeignText("abc\u{1B}de", limit: 9).description == "abc…")
    // A reader sees one letter, but its size is unlimited.
    let tower = "e" + String(repeating: "\u{301}", count: 1_000_000)
    #expect(ForeignText(tower).description.unicodeScalars.count <= ForeignText.limit)
    #expect(ForeignText(utf8: Data(count: 1_000_000)).description.unicodeScalars.count <= ForeignText.limit)
  }

  @Test func bytesThatAreNoTextAreShownAsSuch() {
    #expect(ForeignText(utf8: Array("ok".utf8) + [0xFF, 0xC3]).description == "ok\u{FFFD}\u{FFFD}")
  }

  /// Lines of the program stay lines, and JSON and tables stay readable.
  @Test func linesStayLines() {
    #expect(ForeignText.lines("a\tb\nc\u{1B}\r\n") == "a\tb\nc\\u{1B}\\r\n")
    #expect(ForeignText.lines(String(repeating: "x", count: 100_000)).count == 100_000)
  }

  /// Any text becomes plain and short, and a second pass changes nothing.
  @Test func anyScalarsComeOutPlain() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var state = seed
    func next() -> UInt32 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt32(state >> 33)
    }
    for _ in 0..<2000 {
      var text = String.UnicodeScalarView()
      for _ in 0..<next() % 400 {
        if let scalar = Unicode.Scalar(next() % (next() % 2 == 0 ? 0x100 : 0x110000)) { text.append(scalar) }
      }
      let shown = ForeignText(String(text))
      let scalars = shown.description.unicodeScalars
      #expect(scalars.count <= ForeignText.limit && scalars.allSatisfy(ForeignText.isPlain), "seed \(seed)")
      #expect(ForeignText(shown.description) == shown, "seed \(seed)")
    }
  }

  @Test func asAFieldItIsHarmlessHoweverItIsSet() throws {
    struct Head: Codable, Equatable { @ForeignText var text: String }
    let raw = try JSONDecoder().decode(Head.self, from: Data(#"{"text": "a\u001b[2J\nb"}"#.utf8))
    #expect(raw.text == #"a\u{1B}[2J\nb"#)
    var head = Head(text: "\n")
    #expect(head.text == #"\n"#)
    head.text = "\u{7}"
    #expect(head.text == #"\u{7}"#)
    #expect(try JSONDecoder().decode(Head.self, from: JSONEncoder().encode(head)) == head)
  }
}
