import Support
import Support
import Testing

@Suite struct SpellingTests {
  @Test(arguments: [
    ("foldr", "folder"), ("cifar-10", "cifar10"), ("nzp", "npz"), ("STL10", "stl10"), ("mnist", nil),
    ("", nil),
  ])
  func theNearestKindIsFoundIfOneIsNear(word: String, nearest: String?) {
    let kinds = ["cifar10", "cifar100", "stl10", "idx", "npy", "npz", "folder", "shapes"]
    #expect(Spelling.nearest(to: word, among: kinds) == nearest)
  }

  @Test func wordsAreShortAndHarmlessInMessages() {
    #expect(Spelling.shortened("a\u{1B}[2J\nb") == #"a\u{1B}[2J\nb"#)
    #expect(Spelling.shortened(String(repeating: "x", count: 1000)).count == 41)
  }
}
