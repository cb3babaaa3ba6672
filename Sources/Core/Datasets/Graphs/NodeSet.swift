import Engine
import Support

/// The nodes of a graph with their features and labels, and which of them are for training, validation and test.
package struct NodeSet: Sendable {
  /// The labelled nodes of each part; ascending, and without a common node.
  package struct Split: Sendable, Hashable {
    package let train: [Int]
    package let validation: [Int]
    package let test: [Int]

    package init(train: [Int], validation: [Int], test: [Int]) {
      (self.train, self.validation, self.test) = (train, validation, test)
    }

    fileprivate var parts: [[Int]] { [train, validation, test] }
  }

  /// The label of a node that has none.
  package static let unlabelled = -1

  package let graph: Graph
  package let features: NodeFeatures
  /// The class of each node, 0 ..< ``classes``, or ``unlabelled``.
  package let labels: [Int]
  /// The number of classes; 0 if no node has a label.
  package let classes: Int
  /// The names of the classes in order; nil if classes have only numbers.
  package let classNames: [String]?
  package let split: Split
  /// The edges of the source that the graph does not keep.
  package let dropped: DroppedEdges
  /// The number of edges between nodes of this subset and other nodes of the set that it was taken from.
  package let cut: Int

  /// Creates a set of nodes; traps if the parts are not of the same nodes.
  package init(
    _ graph: Graph, _ features: NodeFeatures, labels: [Int], classes: Int, classNames: [String]? = nil,
    split: Split, dropped: DroppedEdges = DroppedEdges(), cut: Int = 0
  ) {
    precondition(
      features.count == graph.count && labels.count == graph.count,
      "\(features.count) rows of features and \(labels.count) labels of \(graph.count) nodes")
    precondition(
      labels.allSatisfy { $0 >= Self.unlabelled && $0 < classes },
      "labels that are not among \(classes) classes")
    precondition(classNames.map { $0.count == classes } ?? true, "names for \(classes) classes")
    for part in split.parts {
      precondition(zip(part, part.dropFirst()).allSatisfy { $0 < $1 }, "nodes that are not ascending")
      precondition(part.allSatisfy { labels[$0] != Self.unlabelled }, "a split with nodes without a label")
    }
    (self.graph, self.features, self.labels) = (graph, features, labels)
    (self.classes, self.classNames, self.split) = (classes, classNames, split)
    (self.dropped, self.cut) = (dropped, cut)
  }

  /// The number of nodes N.
  package var count: Int { graph.count }

  /// Returns the subset of `nodes`, which are ascending: renumbered, with the edges among them.
  package func subset(_ nodes: [Int]) -> NodeSet { subsets([nodes])[0] }

  /// Returns the subset of each part, a list of ascending nodes.
  package func subsets(_ parts: [[Int]]) -> [NodeSet] {
    zip(parts, graph.induced(by: parts)).map { nodes, induced in
      NodeSet(
        induced.graph, features.subset(nodes), labels: nodes.map { labels[$0] }, classes: classes,
        classNames: classNames,
        split: Split(
          train: Self.places(of: split.train, in: nodes),
          validation: Self.places(of: split.validation, in: nodes),
          test: Self.places(of: split.test, in: nodes)),
        dropped: dropped, cut: induced.cut)
    }
  }

  /// Returns the indices in `nodes` of those that are in `wanted`; all ascending.
  private static func places(of wanted: [Int], in nodes: [Int]) -> [Int] {
    var (places, next): ([Int], Int) = ([], 0)
    for (place, node) in nodes.enumerated() {
      while next < wanted.count, wanted[next] < node { next += 1 }
      if next < wanted.count, wanted[next] == node { places.append(place) }
    }
    return places
  }

  /// Returns the nodes with labels that are indices into the classes of a job. Throws
  /// ``DatasetError/unlabelled(for:problem:)`` or ``DatasetError/otherClasses(job:own:)``.
  package func labelled(by job: ClassList) throws(DatasetError) -> NodeSet {
    guard classes > 0 else { throw .unlabelled(for: "a classification") }
    let own = classNames.map { ClassList.names($0) } ?? .count(classes)
    let indices = try own.indices(in: job, used: Set(labels))
    return NodeSet(
      graph, features, labels: labels.map { $0 < 0 ? Self.unlabelled : indices[$0] }, classes: job.count,
      classNames: { if case .names(let names) = job { names } else { classNames } }(), split: split,
      dropped: dropped, cut: cut)
  }
}
