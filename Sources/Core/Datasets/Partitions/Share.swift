/// A client's share of a partitioned data set.
package struct Share: Sendable, Hashable, CustomStringConvertible {
  /// The index of the client, 0 ..< `count`.
  package let index: Int
  /// The number of clients.
  package let count: Int

  package init(_ index: Int, of count: Int) {
    precondition((0..<count).contains(index), "share \(index) of \(count)")
    (self.index, self.count) = (index, count)
  }

  /// The number of clients that a simulation supports.
  package static let counts = 1...10_000

  /// Parses `0/4`, the first of four; nil for other text.
  package init?(parsing text: String) {
    let numbers = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
    guard numbers.count == 2, let index = numbers[0], let count = numbers[1], Self.counts.contains(count),
      (0..<count).contains(index)
    else { return nil }
    self.init(index, of: count)
  }

  /// The form that `init(parsing:)` accepts.
  package var description: String { "\(index)/\(count)" }

  /// Returns the name of the client with this share: `stem-2`, or `stem-02` of eleven.
  ///
  /// Names sort like numbers, because aggregation follows their order.
  package func name(_ stem: String) -> String {
    let digits = String(count - 1).count
    let number = String(index)
    return "\(stem)-" + String(repeating: "0", count: digits - number.count) + number
  }

  /// Returns the examples of this share of a set partitioned with the seed. Throws the errors of
  /// ``Partition/split(_:clients:seed:)``.
  package func examples(
    of set: Dataset, by partition: Partition, seed: UInt64
  ) throws(DatasetError) -> Dataset {
    let parts = try partition.split(set, clients: count, seed: seed)
    return partition.part(index, of: set, parts[index], clients: count, seed: seed)
  }
}
