import Engine
import Testing

@Suite struct StorageTests {
  private static func layout() -> (Layout, [Slot]) {
    var layout = Layout()
    let slots = (0..<4).map { layout.add("\($0)", 2, 5) }
    return (layout, slots)
  }

  @Test func startsWithZerosOnACacheLine() {
    // Repeated, since a small block may reuse memory.
    for round in 0..<20 {
      let storage = Storage(0..<100)
      #expect(storage.all.array().allSatisfy { $0 == 0 }, "round \(round)")
      #expect(UInt(bitPattern: storage.all.start) % 64 == 0)
      Elementwise.fill(storage.all, 1)
    }
  }

  @Test func aRangeOfALayoutHasThatRangesSlots() {
    let (layout, slots) = Self.layout()
    let whole = Storage(layout)
    let part = Storage(10..<30)
    #expect(whole.count == 40 && part.count == 20)
    for (index, slot) in slots.enumerated() { Elementwise.fill(whole[slot], Float(index)) }
    part.copy(20..<30, from: whole)
    #expect(part.all.array() == Array(repeating: 0, count: 10) + Array(repeating: 2, count: 10))
    #expect(part[slots[2]].array() == whole[20..<30].array())
    #expect(part[slots[1]].start == part.all.start)
    part.clear()
    #expect(part.all.array() == Array(repeating: 0, count: 20))
    #expect(whole[slots[2]][1, 4] == 2)
  }

  @Test func anEmptyRangeIsNoError() {
    let storage = Storage(7..<7)
    #expect(storage.count == 0 && storage.all.array().isEmpty)
    storage.clear()
  }

  /// The gradient of a frozen layer cannot be accessed, because it does not exist.
  @Test func aSlotOutsideTheRangeTraps() async {
    await #expect(processExitsWith: .failure) {
      let (_, slots) = StorageTests.layout()
      _ = Storage(10..<30)[slots[0]]
    }
    await #expect(processExitsWith: .failure) {
      let (_, slots) = StorageTests.layout()
      _ = Storage(10..<30)[slots[3]]
    }
    await #expect(processExitsWith: .success) {
      let (_, slots) = StorageTests.layout()
      _ = Storage(10..<30)[slots[1]]
    }
  }

  @Test func aPartOutsideTheRangeTraps() async {
    await #expect(processExitsWith: .failure) { _ = Storage(10..<30)[9..<12] }
    await #expect(processExitsWith: .failure) { _ = Storage(10..<30)[29..<31] }
    await #expect(processExitsWith: .failure) { Storage(0..<40).copy(5..<12, from: Storage(10..<30)) }
  }
}
