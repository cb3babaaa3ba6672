import Datasets
import Testing

@Suite struct DatasetErrorTests {
  @Test func aNameWithControlCharactersStaysOneLine() {
    let error = DatasetError.malformed(path: "/a\nb\r\u{1B}[2J", problem: "holds \u{0}|u1")
    #expect(error.description == #"/a\nb\r\u{1B}[2J: holds \u{0}|u1"#)
  }
}
