import Datasets
import Engine
import Testing

@Suite struct NodeSetTests {
  private static func rows(_ features: NodeFeatures) -> [[Float]] {
    (0..<features.count).map { node in
      var row = [Float](repeating: .nan, count: features.width)
      features.write(node, into: &row)
      return row
    }
  }

  /// A ring of six nodes; node 3 has no label.
  private static let ring = NodeSet(
    Graph.undirected([0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 0], nodes: 6).graph,
    NodeFeatures((0..<12).map { Float($0) }, width: 2), labels: [0, 1, 0, -1, 1, 0], classes: 2,
    classNames: ["a", "b"], split: .init(train: [0, 2], validation: [1], test: [4, 5]))

  @Test func sparseRowsAreExpanded() {
    let rows = NodeFeatures.Sparse(
      starts: [0, 2, 2, 5], columns: [3, 0, 1, 2, 1], values: [4, 0.5, 1, -2, 2.5])
    let features = NodeFeatures(rows, width: 4)
    #expect(features.isSparse && features.count == 3)
    #expect(Self.rows(features) == [[0.5, 0, 0, 4], [0, 0, 0, 0], [0, 3.5, -2, 0]])
    let ones = NodeFeatures(NodeFeatures.Sparse(starts: [0, 2], columns: [1, 1], values: nil), width: 2)
    #expect(Self.rows(ones) == [[0, 2]])
  }

  @Test(arguments: [false, true])
  func subsetsAndScaledRowsAreTheSameForBothForms(isSparse: Bool) {
    let values: [Float] = [1, 3, 0, 0, -1, 2, 5, 0]
    let features =
      isSparse
      ? NodeFeatures(
        .init(starts: [0, 2, 2, 4, 5], columns: [0, 1, 0, 1, 0], values: [1, 3, -1, 2, 5]), width: 2)
      : NodeFeatures(values, width: 2)
    #expect(Self.rows(features) == [[1, 3], [0, 0], [-1, 2], [5, 0]])
    let scaled = features.normalisedByRow()
    #expect(Self.rows(scaled) == [[0.25, 0.75], [0, 0], [-1, 2], [1, 0]])
    #expect(Self.rows(scaled.subset([0, 2, 3]).subset([2, 0])) == [[1, 0], [0.25, 0.75]])
    #expect(Self.rows(features.subset([3, 0]).normalisedByRow()) == [[1, 0], [0.25, 0.75]])
  }

  @Test func allRowsAreWrittenInParallel() {
    let count = 1000
    let features = NodeFeatures((0..<count * 3).map { Float($0) }, width: 3)
    let box = StorageBox(0..<count * 3)
    features.write(into: box.storage.all.reshaped(count, 3), Workers(3))
    #expect(box.storage.all.array() == (0..<count * 3).map { Float($0) })
  }

  @Test func aSubsetIsRenumbered() {
    let part = Self.ring.subset([1, 2, 3, 5])
    #expect(part.graph == Graph.undirected([0, 1, 1, 2], nodes: 4).graph)
    #expect(part.labels == [1, 0, -1, 0] && part.classes == 2 && part.classNames == ["a", "b"])
    #expect(part.split == NodeSet.Split(train: [1], validation: [0], test: [3]))
    #expect(Self.rows(part.features) == [[2, 3], [4, 5], [6, 7], [10, 11]])
    // 0-1, 3-4, 4-5 and 5-0.
    #expect(part.cut == 4)
    let inner = part.subset([0, 1])
    #expect(inner.cut == 1 && inner.split == NodeSet.Split(train: [1], validation: [0], test: []))
    #expect(Self.rows(inner.features) == [[2, 3], [4, 5]])
  }

  @Test func theSubsetOfAllNodesIsTheWhole() {
    let whole = Self.ring.subset(Array(0..<6))
    #expect(whole.graph == Self.ring.graph && whole.split == Self.ring.split && whole.cut == 0)
  }
}
