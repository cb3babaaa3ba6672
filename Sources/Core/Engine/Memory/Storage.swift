import Foundation

/// The memory of a layout, or of some ranges of it, in one allocation.
///
/// `storage[slot]` views the slot's memory. A slot outside the ranges traps, so the gradient of a frozen layer cannot
/// be accessed.
/// touched, because it does not exist.
package struct Storage: ~Copyable {
  /// The allocated ranges of the layout, ascending and not adjacent. They are stored contiguously.
  package let ranges: [Range<Int>]
  /// The number of floats.
  package let count: Int
  private let memory: UnsafeMutablePointer<Float>

  /// Allocates zeros for the floats of `ranges`, which are ascending, aligned to 64 bytes.
  package init(_ ranges: [Range<Int>]) {
    precondition(
      zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound }, "ranges \(ranges)")
    self.ranges = ranges
    count = ranges.reduce(0) { $0 + $1.count }
    let bytes = max(count, 1) * MemoryLayout<Float>.stride
    var raw: UnsafeMutableRawPointer?
    let status = posix_memalign(&raw, 64, bytes)
    precondition(status == 0, "no memory for \(bytes) bytes")
    // The allocator zeroes large blocks, but small ones may be reused.
    memset(raw!, 0, bytes)
    memory = raw!.bindMemory(to: Float.self, capacity: max(count, 1))
  }

  package init(_ range: Range<Int>) { self.init([range]) }

  package init(_ layout: Layout) { self.init(layout.range) }

  deinit { free(memory) }

  /// Whether it contains no floats, such as the gradients of a frozen layer.
  package var isEmpty: Bool { count == 0 }

  @inline(__always)
  package subscript(_ slot: Slot) -> Matrix {
    Matrix(place(of: slot.range), rows: slot.rows, columns: slot.columns)
  }

  /// A subrange of one of the ranges, as one row.
  package subscript(_ part: Range<Int>) -> Matrix { Matrix(place(of: part), rows: 1, columns: part.count) }

  /// Returns the address of a subrange of one of the ranges.
  @inline(__always)
  private func place(of part: Range<Int>) -> UnsafeMutablePointer<Float> {
    var offset = 0
    for range in ranges {
      if part.lowerBound >= range.lowerBound && part.upperBound <= range.upperBound {
        return memory + (offset + part.lowerBound - range.lowerBound)
      }
      offset += range.count
    }
    preconditionFailure("\(part) is not in the storage of \(ranges)")
  }

  /// The whole storage as one row.
  package var all: Matrix { Matrix(memory, rows: 1, columns: count) }

  /// Sets every float to zero.
  package func clear() { memset(memory, 0, count * MemoryLayout<Float>.stride) }

  /// Copies the floats of `part` from another storage of the same layout.
  package func copy(_ part: Range<Int>, from other: borrowing Storage) {
    let (to, from) = (self[part], other[part])
    to.start.update(from: from.start, count: part.count)
  }

  /// Copies all floats from another storage of the same layout.
  package func copy(from other: borrowing Storage) { for range in ranges { copy(range, from: other) } }
}

/// A reference to a storage, for use in arrays.
package final class StorageBox {
  package let storage: Storage

  package init(_ ranges: [Range<Int>]) { storage = Storage(ranges) }

  package convenience init(_ range: Range<Int>) { self.init([range]) }
}
