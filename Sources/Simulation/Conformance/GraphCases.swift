import Datasets
import Engine

/// The golden cases of graphs: from edges, in parts, in communities.
enum GraphCases {
  static let operations: [String: Conformance.Operation] = [
    "graph_from_edges": fromEdges, "graph_parts": parts, "graph_community": community,
  ]

  /// Returns the graph of a case: `rowptr` and `columns` with a prefix.
  static func graph(_ tensors: GoldenTensors, _ prefix: String = "in.") throws -> Graph {
    let (starts, columns) = try (tensors(prefix + "rowptr").values, tensors(prefix + "columns").values)
    let count = starts.count - 1
    guard count >= 0, starts.first == 0, starts.last == Float(columns.count),
      zip(starts, starts.dropFirst()).allSatisfy({ $0 <= $1 }),
      columns.allSatisfy({ $0 >= 0 && $0 < Float(count) })
    else { throw ConformanceError("\(prefix)rowptr and \(prefix)columns are not a graph") }
    return Graph(starts: starts.map { Int($0) }, columns: columns.map { Int32($0) })
  }

  /// Returns the nodes of each client from the owner of each node.
  static func parts(_ owners: [Float], clients: Int, nodes: Int) throws -> [[Int]] {
    guard owners.count == nodes, owners.allSatisfy({ $0 >= 0 && $0 < Float(clients) }) else {
      throw ConformanceError("in.owner: \(owners.count) owners for \(nodes) nodes of \(clients) clients")
    }
    var parts = [[Int]](repeating: [], count: clients)
    for (node, owner) in owners.enumerated() { parts[Int(owner)].append(node) }
    return parts
  }

  private static func compare(
    _ graph: Graph, _ suffix: String, _ tensors: GoldenTensors, in comparison: inout Comparison
  ) throws {
    for (name, got) in [
      ("out.rowptr\(suffix)", graph.starts.map { Float($0) }),
      ("out.columns\(suffix)", graph.columns.map { Float($0) }),
    ] {
      try comparison.compare(name, got, with: tensors(name).values)
    }
  }

  private static func fromEdges(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let (edges, nodes) = (try tensors("in.edges"), try golden.integer("nodes"))
    guard edges.shape.count == 2, edges.shape[1] == 2, nodes >= 0,
      edges.values.allSatisfy({ $0 >= 0 && $0 < Float(nodes) })
    else { throw ConformanceError("edges of the shape \(edges.shape) for \(nodes) nodes") }
    var comparison = Comparison()
    let built = Graph.undirected(edges.values.map { Int32($0) }, nodes: nodes)
    try compare(built.graph, "", tensors, in: &comparison)
    return comparison
  }

  private static func parts(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let (graph, clients) = (try graph(tensors), try golden.integer("clients"))
    let parts = try parts(tensors("in.owner").values, clients: clients, nodes: graph.count)
    var comparison = Comparison()
    for (client, induced) in graph.induced(by: parts).enumerated() {
      try comparison.compare(
        "out.nodes.\(client)", parts[client].map { Float($0) }, with: tensors("out.nodes.\(client)").values)
      try compare(induced.graph, ".\(client)", tensors, in: &comparison)
    }
    let lost = LostEdges(of: graph, among: parts)
    try comparison.compare("out.dropped", [Float(lost.lost)], with: tensors("out.dropped").values)
    return comparison
  }

  private static func community(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let (graph, clients) = (try graph(tensors), try golden.integer("clients"))
    guard clients >= 1 else { throw ConformanceError("\(clients) clients") }
    var owners = [Float](repeating: -1, count: graph.count)
    for (part, nodes) in graph.communities(clients).enumerated() {
      for node in nodes { owners[node] = Float(part) }
    }
    var comparison = Comparison()
    try comparison.compare("out.owner", owners, with: tensors("out.owner").values)
    return comparison
  }
}
