import Engine
import Testing

@Suite struct LayoutTests {
  @Test func packsSlotsInOrder() {
    var layout = Layout()
    let (a, b, c) = (layout.add("a", 3, 5), layout.add("b", 7), layout.add("c", 2, 4, shape: [1, 2, 4]))
    #expect(a.range == 0..<15 && b.range == 15..<22 && c.range == 22..<30)
    #expect(b.rows == 1 && b.columns == 7)
    #expect(layout.entries.map(\.name) == ["a", "b", "c"])
    #expect(layout.entries.map(\.shape) == [[3, 5], [7], [1, 2, 4]])
    #expect(layout.range == 0..<30 && layout.count == 30 && layout.bytes == 120)
  }

  @Test func alignedSlotsStartOnCacheLines() {
    var layout = Layout(alignment: 16)
    var random = RandomNumbers(151)
    var end = 0
    for index in 0..<50 {
      let slot = layout.add("\(index)", random.below(5), random.below(40))
      #expect(slot.offset % 16 == 0 && slot.offset >= end && slot.offset < end + 16, "seed 151")
      end = slot.range.upperBound
    }
    #expect(layout.count == end)
  }

  @Test func aShapeOfAnotherSizeTraps() async {
    await #expect(processExitsWith: .failure) {
      var layout = Layout()
      _ = layout.add("a", 3, 5, shape: [15, 2])
    }
    await #expect(processExitsWith: .failure) {
      var layout = Layout()
      _ = layout.add("a", -3, -5)
    }
  }
}
