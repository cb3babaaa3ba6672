import Pages
import Testing

@Suite struct FigureUnitTests {
  @Test(arguments: [
    (FigureUnit.bytes, [118e6, 3385e6], "MB", "118"), (.bytes, [900e3, 2e6], "kB", "900"),
    (.bytes, [12.0], "B", "12"),
    (.operations, [1.39e11], "GFLOP", "139"), (.operations, [5e12, 9e14], "TFLOP", "5.00"),
    (.seconds, [63.25], "s", "63.2"), (.share, [0.402], "%", "40.2"), (.share, [0.0], "%", "0.0"),
  ])
  func theSmallestStillShowsItsDigits(unit: FigureUnit, values: [Double], name: String, first: String) {
    let scale = unit.scale(for: values)
    #expect(scale.name == name && scale.text(values[0]) == first)
  }

  @Test func nothingToScale() {
    #expect(FigureUnit.bytes.scale(for: []).text(0) == "0")
    #expect(FigureUnit.bytes.scale(for: [.nan, 0]).name == "B")
  }
}
