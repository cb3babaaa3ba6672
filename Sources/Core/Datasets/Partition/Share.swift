/// One client's part of a data set that is shared out: which of how many.
package struct Share: Sendable, Hashable, CustomStringConvertible {
  /// 0 ..< `count`.
  package let index: Int
  /// How many clients the images are shared out among.
  package let count: Int

  package init(_ index: Int, of count: Int) {
    precondition((0..<count).contains(index), "share \(index) of \(count)")
    (self.index, self.count) = (index, count)
  }

  /// As many clients as a simulation may have.
  package static let counts = 1...10_000

  /// Understands `0/4`, the first of four; nil for anything else.
  package init?(parsing text: String) {
    let numbers = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
    guard numbers.count == 2, let index = numbers[0], let count = numbers[1], Self.counts.contains(count),
      (0..<count).contains(index)
    else { return nil }
    self.init(index, of: count)
  }

  /// As `init(parsing:)` understands it.
  package var description: String { "\(index)/\(count)" }

  /// What the client is called that has this share: `stem-2`, or `stem-02` of eleven.
  ///
  /// Names sort like numbers, since aggregation goes by them.
  package func name(_ stem: String) -> String {
    let digits = String(count - 1).count
    let number = String(index)
    return "\(stem)-" + String(repeating: "0", count: digits - number.count) + number
  }

  /// The images of this share, of a set that is shared out with the seed. Throws what
  /// ``Partition/split(_:clients:seed:)`` throws.
  package func images(
    of set: ImageSet, by partition: Partition, seed: UInt64
  ) throws(DatasetError) -> ImageSet {
    set.subset(try partition.split(set, clients: count, seed: seed)[index])
  }
}
