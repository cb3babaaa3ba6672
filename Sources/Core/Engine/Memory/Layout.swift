/// A named place in a ``Layout``: `rows` x `columns` floats, row-major, starting at `offset`.
///
/// A layer is a value made of slots; it owns no memory.
package struct Slot: Sendable, Hashable {
  /// In floats from the start of the layout.
  package let offset: Int
  package let rows: Int
  package let columns: Int

  package var count: Int { rows * columns }
  package var range: Range<Int> { offset..<offset + count }
}

/// A plan of memory: it hands out slots and knows its size before a byte exists.
///
/// Parameters, gradients, optimiser moments and activations are all storages of layouts.
package struct Layout: Sendable {
  /// What a slot is called, and its shape where that is more than rows and columns
  /// (timm's `pos_embed` is [1, T, D]).
  package struct Entry: Sendable {
    package let name: String
    package let shape: [Int]
    package let slot: Slot
    /// The part of a model that it belongs to: what travels and is stored as one.
    package let part: String
    /// A number that training keeps but no gradient moves: a running statistic.
    package let isBuffer: Bool
  }

  /// The part of a model that slots are added to from now on.
  package var part = ""

  package private(set) var entries: [Entry] = []
  /// In floats.
  package private(set) var count = 0
  /// Every slot starts at a multiple of this many floats. Parameters are packed (1), so that a range of
  /// them is what travels; activations start on cache lines (16).
  package let alignment: Int

  package init(alignment: Int = 1) {
    precondition(alignment > 0, "an alignment of \(alignment) floats")
    self.alignment = alignment
  }

  /// Adds a slot; `shape` defaults to [rows, columns] and must have as many elements.
  package mutating func add(
    _ name: String, _ rows: Int, _ columns: Int, shape: [Int]? = nil, isBuffer: Bool = false
  )
    -> Slot
  {
    let shape = shape ?? [rows, columns]
    precondition(rows >= 0 && columns >= 0, "\(name) of \(rows) x \(columns)")
    precondition(shape.reduce(1, *) == rows * columns, "\(name): \(shape) is not \(rows) x \(columns)")
    let offset = (count + alignment - 1) / alignment * alignment
    let slot = Slot(offset: offset, rows: rows, columns: columns)
    entries.append(Entry(name: name, shape: shape, slot: slot, part: part, isBuffer: isBuffer))
    count = offset + slot.count
    return slot
  }

  /// Adds a vector of `count` elements, as a single row.
  package mutating func add(_ name: String, _ count: Int, isBuffer: Bool = false) -> Slot {
    add(name, 1, count, shape: [count], isBuffer: isBuffer)
  }

  /// The whole layout.
  package var range: Range<Int> { 0..<count }

  /// What an optimiser moves of a range: everything but what no gradient moves, as few ranges as can be.
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

  /// Bytes of a storage of the whole layout.
  package var bytes: Int { count * MemoryLayout<Float>.stride }
}
