import Engine
import Support

/// A summary of a graph. The names are those of `fedclient check --json`.
package struct GraphReport: Sendable, Codable {
  /// The number of nodes, and of undirected edges.
  package let nodes, edges: Int
  /// The number of features of a node.
  package let features: Int
  /// Whether the features are stored as sparse rows.
  package let isSparse: Bool
  /// The number of neighbours of a node.
  package let degree: DataReport.Spread
  /// The number of nodes without neighbours.
  package let isolated: Int
  /// The classes in order, with the number of their nodes; empty without labels.
  package let classes: [DataReport.Class]
  /// What is odd in the labels, a sentence each.
  package let labelWarnings: [String]
  /// The number of nodes without a label.
  package let unlabelled: Int
  /// The labelled nodes of the split.
  package let train, validation, test: Int
  /// The edges of the source that were dropped.
  package let dropped: DroppedEdges
  /// The number of edges to nodes of other clients, if this is a share.
  package let cut: Int

  package init(_ set: NodeSet) {
    (nodes, edges, features) = (set.count, set.graph.edges, set.features.width)
    (isSparse, dropped, cut) = (set.features.isSparse, set.dropped, set.cut)
    let degrees = (0..<set.count).map { set.graph.degree(of: $0) }
    (degree, isolated) = (DataReport.Spread(degrees), degrees.count { $0 == 0 })
    var counts = [Int](repeating: 0, count: set.classes)
    for label in set.labels where label >= 0 { counts[label] += 1 }
    classes = counts.enumerated().map { index, count in
      DataReport.Class(name: set.classNames.map { Spelling.harmless($0[index]) } ?? "\(index)", count: count)
    }
    labelWarnings = LabelSense.warnings(of: .nodes(set))
    unlabelled = set.labels.count { $0 < 0 }
    (train, validation, test) = (set.split.train.count, set.split.validation.count, set.split.test.count)
  }
}
