/// A named range of a ``Layout``: `rows` x `columns` floats, row-major, starting at `offset`.
///
/// A layer is a value made of slots; it owns no memory.
package struct Slot: Sendable, Hashable {
  /// The offset in floats from the start of the layout.
  package let offset: Int
  package let rows: Int
  package let columns: Int

  package var count: Int { rows * columns }
  package var range: Range<Int> { offset..<offset + count }
}

/// A plan of memory: it assigns slots, and its size is known before memory is allocated.
///
/// Parameters, gradients, optimiser moments and activations are all storages of layouts.
package struct Layout: Sendable {
  /// The name of a slot, and its shape if it has more than two dimensions (timm's `pos_embed` is [1, T, D]).
  package struct Entry: Sendable {
    package let name: String
    package let shape: [Int]
    package let slot: Slot
    /// The part of a model that contains it; a part is transmitted and stored as a unit.
    package let part: String
    /// Whether it is a buffer, such as a running statistic: trained, but without a gradient.
    package let isBuffer: Bool
  }

  /// The part of the slots added next.
  package var part = ""

  package private(set) var entries: [Entry] = []
  /// The size in floats.
  package private(set) var count = 0
  /// The alignment of slots in floats. Parameters are packed (1), so that a part is a contiguous range; activations
  /// start on cache lines (16).
  package let alignment: Int

  package init(alignment: Int = 1) {
    precondition(alignment > 0, "an alignment of \(alignment) floats")
    self.alignment = alignment
  }

  /// Adds a slot; `shape` defaults to [rows, columns] and must have the same number of elements. `alignment`
  /// defaults to that of the layout.
  package mutating func add(
    _ name: String, _ rows: Int, _ columns: Int, shape: [Int]? = nil, isBuffer: Bool = false,
    alignment: Int? = nil
  )
    -> Slot
  {
    let alignment = alignment ?? self.alignment
    let shape = shape ?? [rows, columns]
    precondition(rows >= 0 && columns >= 0, "\(name) of \(rows) x \(columns)")
    precondition(shape.reduce(1, *) == rows * columns, "\(name): \(shape) is not \(rows) x \(columns)")
    let offset = (count + alignment - 1) / alignment * alignment
    let slot = Slot(offset: offset, rows: rows, columns: columns)
    entries.append(Entry(name: name, shape: shape, slot: slot, part: part, isBuffer: isBuffer))
    count = offset + slot.count
    return slot
  }

  /// Adds a vector of `count` elements as a single row.
  package mutating func add(_ name: String, _ count: Int, isBuffer: Bool = false) -> Slot {
    add(name, 1, count, shape: [count], isBuffer: isBuffer)
  }

  /// The range of the whole layout.
  package var range: Range<Int> { 0..<count }

  /// Returns the subranges that an optimiser updates: all except buffers, merged where adjacent.
  package func optimised(_ range: Range<Int>) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    for entry in entries where range.contains(entry.slot.offset) && !entry.isBuffer {
      if let last = ranges.last, last.upperBound == entry.slot.offset {
        ranges[ranges.count - 1] = last.lowerBound..<entry.slot.range.upperBound
      } else {
        ranges.append(entry.slot.range)
      }
    }
    return ranges
  }

  /// The size of a storage of the whole layout, in bytes.
  package var bytes: Int { count * MemoryLayout<Float>.stride }
}
