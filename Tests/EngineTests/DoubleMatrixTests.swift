import Engine
import Testing

@Suite struct DoubleMatrixTests {
  @Test(arguments: [1, 2, 3, 16]) func slotsAreAlignedAndApart(alignment: Int) {
    var layout = Layout(alignment: alignment)
    let before = layout.add("floats", 3)
    let slots = [layout.addDoubles("a", 2, 3), layout.addDoubles("b", 1, 1)]
    let after = layout.add("more floats", 5)
    let last = layout.addDoubles("c", 4, 2)
    let storage = Storage(layout)
    for (index, slot) in (slots + [last]).enumerated() {
      let matrix = storage[slot]
      #expect(matrix.rows == slot.rows && matrix.columns == slot.columns)
      #expect(UInt(bitPattern: matrix.start) % 8 == 0)
      for i in 0..<matrix.count { matrix.start[i] = Double(index + 1) }
    }
    #expect(storage[before].array() + storage[after].array() == Array(repeating: 0, count: 8))
    for (index, slot) in (slots + [last]).enumerated() {
      let matrix = storage[slot]
      #expect((0..<matrix.count).allSatisfy { matrix.start[$0] == Double(index + 1) })
    }
    #expect(storage[last].row(3) == storage[last].start + 6)
    storage[last][3, 1] = 9
    #expect(storage[last].start[7] == 9)
  }

  @Test func copiesARowWithAnyStride() {
    var layout = Layout()
    let (x, y) = (layout.add("x", 3, 5), layout.addDoubles("y", 3, 2))
    let storage = Storage(layout)
    storage[x].set((0..<15).map { Float($0) })
    storage[y].copy(storage[x].columns(1..<3))
    #expect((0..<6).map { storage[y].start[$0] } == [1, 2, 6, 7, 11, 12])
  }

  @Test func whatIsNotAlignedTraps() async {
    await #expect(processExitsWith: .failure) {
      var layout = Layout()
      _ = layout.add("floats", 1)
      let slot = layout.addDoubles("doubles", 1, 1)
      // The range begins at an odd offset.
      _ = Storage(1..<layout.count)[slot]
    }
  }
}
