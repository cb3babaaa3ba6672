/// A named range of a ``Layout`` for `count` integers.
package struct NumberSlot<Number: FixedWidthInteger & BitwiseCopyable & Sendable>: Sendable, Hashable {
  fileprivate let floats: Slot
  package let count: Int
}

extension Layout {
  /// Adds a slot of integers of 4 or 8 bytes.
  package mutating func addNumbers<Number>(_ name: String, _ count: Int) -> NumberSlot<Number> {
    let size = MemoryLayout<Number>.size / MemoryLayout<Float>.size
    let floats = add(
      name, 1, size * count, alignment: alignment.isMultiple(of: size) ? alignment : size * alignment)
    return NumberSlot(floats: floats, count: count)
  }
}

extension Storage {
  /// Views a slot's integers. Only a storage whose ranges start at even offsets aligns integers of 8 bytes; another one
  /// traps.
  @inline(__always)
  package subscript<Number>(_ slot: NumberSlot<Number>) -> UnsafeMutablePointer<Number> {
    let start = UnsafeMutableRawPointer(self[slot.floats].start)
    precondition(
      UInt(bitPattern: start) % UInt(MemoryLayout<Number>.alignment) == 0, "integers at a float's address")
    return start.bindMemory(to: Number.self, capacity: slot.count)
  }
}
