import Foundation

/// One allocation of a layout, or of a range of it.
///
/// `storage[slot]` views the slot's memory. A slot outside the range traps: so the gradient of a frozen
/// layer cannot be touched, because it does not exist.
package struct Storage: ~Copyable {
  /// The floats of the layout that exist here.
  package let range: Range<Int>
  private let memory: UnsafeMutablePointer<Float>

  /// Allocates zeros for the floats of `range`, on a 64-byte boundary.
  package init(_ range: Range<Int>) {
    self.range = range
    let bytes = max(range.count, 1) * MemoryLayout<Float>.stride
    var raw: UnsafeMutableRawPointer?
    let status = posix_memalign(&raw, 64, bytes)
    precondition(status == 0, "no memory for \(bytes) bytes")
    // The allocator maps large blocks from zero pages, but small ones may be reused.
    memset(raw!, 0, bytes)
    memory = raw!.bindMemory(to: Float.self, capacity: max(range.count, 1))
  }

  package init(_ layout: Layout) { self.init(layout.range) }

  deinit { free(memory) }

  package var count: Int { range.count }

  @inline(__always)
  package subscript(_ slot: Slot) -> Matrix {
    precondition(
      slot.offset >= range.lowerBound && slot.offset + slot.count <= range.upperBound,
      "slot \(slot.range) is not in the storage of \(range)")
    return Matrix(memory + (slot.offset - range.lowerBound), rows: slot.rows, columns: slot.columns)
  }

  /// A part of the storage as one row.
  package subscript(_ part: Range<Int>) -> Matrix {
    precondition(
      part.lowerBound >= range.lowerBound && part.upperBound <= range.upperBound,
      "\(part) is not in the storage of \(range)")
    return Matrix(memory + (part.lowerBound - range.lowerBound), rows: 1, columns: part.count)
  }

  /// The whole storage as one row.
  package var all: Matrix { Matrix(memory, rows: 1, columns: range.count) }

  /// Sets every float to zero.
  package func clear() { memset(memory, 0, range.count * MemoryLayout<Float>.stride) }

  /// Copies the floats of `part` from another storage of the same layout.
  package func copy(_ part: Range<Int>, from other: borrowing Storage) {
    let (to, from) = (self[part], other[part])
    to.start.update(from: from.start, count: part.count)
  }
}
