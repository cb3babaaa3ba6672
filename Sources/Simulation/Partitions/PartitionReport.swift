import Datasets
import Engine
import Pages
import Support

/// The partition of a data set among clients, in numbers. The names are those of `fedsim partition --json`.
package struct PartitionReport: Sendable, Codable {
  /// The figures of a client.
  package struct Client: Sendable, Codable {
    package let name: String
    /// The number of its examples.
    package let size: Int
    /// The number of its examples of each class; nil without labels.
    package let counts: [Int]?
    /// The number of its examples without a label, if others have one.
    package let unlabelled: Int?
    /// The number of classes of which it has examples.
    package let classes: Int?
    /// The total variation distance of its classes from those of all data: half the sum over the classes of the
    /// difference between the shares, 0 … 1; nil without labelled examples.
    package let distance: Double?
    /// The deviation of the noise in its examples, if the partition adds some.
    package let noise: Double?
    /// Of a graph, the edges among its nodes, and those between its nodes and other clients'.
    package let edges, cutEdges: Int?
  }

  /// The SPEC of the data, and the partition as written.
  package let data, partition: String
  package let seed: UInt64
  /// The word for an example.
  package let noun: String
  package let size: Int
  /// The names of the classes; of rows, of the tenths that stand for classes. Empty without labels.
  package let classNames: [String]
  /// The number of examples of each class in all data.
  package let counts: [Int]
  package let clients: [Client]
  /// Of a graph, the edges between clients, which no client has, and all edges.
  package let lostEdges, edges: Int?

  /// Divides a data set as a federation of `count` clients does. Throws the errors of
  /// ``Partition/split(_:clients:seed:)``.
  package init(
    _ set: Dataset, data: String, by partition: Partition, clients count: Int, seed: UInt64
  ) throws(DatasetError) {
    let parts = try partition.split(set, clients: count, seed: seed)
    (self.data, self.partition, self.seed) = (data, partition.description, seed)
    (noun, size) = (set.noun, set.count)
    let labels = partition.classLabels(of: set)
    let names = labels.map { _ in partition.classNames(of: set) } ?? []
    classNames = names
    let whole = Self.counts(labels, Array(0..<set.count), classes: names.count)
    counts = whole
    var nodes: [NodeSet] = []
    var lost: LostEdges?
    if case .nodes(let all) = set {
      (nodes, lost) = (all.subsets(parts), LostEdges(of: all.graph, among: parts))
    }
    (lostEdges, edges) = (lost?.lost, lost?.edges)
    clients = parts.enumerated().map { index, part in
      let own = labels.map { _ in Self.counts(labels, part, classes: names.count) }
      let labelled = own?.reduce(0, +) ?? 0
      return Client(
        name: Share(index, of: count).name("client"), size: part.count, counts: own,
        unlabelled: own.flatMap { _ in labelled < part.count ? part.count - labelled : nil },
        classes: own.map { $0.count { $0 > 0 } }, distance: own.flatMap { Self.distance($0, whole) },
        noise: partition.noise(ofClient: index, of: count),
        edges: nodes.isEmpty ? nil : nodes[index].graph.edges,
        cutEdges: nodes.isEmpty ? nil : nodes[index].cut)
    }
  }

  private static func counts(_ labels: [Int]?, _ part: [Int], classes: Int) -> [Int] {
    var counts = [Int](repeating: 0, count: classes)
    for index in part { if let label = labels?[index], label >= 0 { counts[label] += 1 } }
    return counts
  }

  /// Returns the total variation distance between two distributions over the classes, given as counts; nil if one of
  /// them has no examples.
  static func distance(_ counts: [Int], _ others: [Int]) -> Double? {
    let (own, all) = (counts.reduce(0, +), others.reduce(0, +))
    guard own > 0 && all > 0 else { return nil }
    return zip(counts, others).reduce(0) {
      $0 + abs(Double($1.0) / Double(own) - Double($1.1) / Double(all))
    } / 2
  }
}

extension PartitionReport {
  /// The smallest and the largest number of examples of a client.
  package var sizes: ClosedRange<Int> {
    let sizes = clients.map(\.size)
    return (sizes.min() ?? 0)...(sizes.max() ?? 0)
  }

  /// The mean distance of the clients' classes from those of all data, weighted by their sizes; nil without labels.
  package var meanDistance: Double? {
    let weighted = clients.compactMap { client in client.distance.map { ($0, Double(client.size)) } }
    let weight = weighted.reduce(0) { $0 + $1.1 }
    return weight > 0 ? weighted.reduce(0) { $0 + $1.0 * $1.1 } / weight : nil
  }

  /// The figures of the whole partition, each a name and a sentence.
  package var summary: [(name: String, text: String)] {
    let ratio = Numeral.fixed(Double(sizes.upperBound) / Double(max(sizes.lowerBound, 1)), digits: 1)
    var lines = [
      (
        "sizes",
        "\(sizes.lowerBound) to \(sizes.upperBound) \(noun)s a client; the largest is \(ratio) times the smallest"
      )
    ]
    let classes = clients.compactMap(\.classes)
    if let least = classes.min(), let most = classes.max() {
      let range = least == most ? "\(most)" : "\(least) to \(most)"
      lines.append(("classes", "\(range) of \(classNames.count) a client"))
    }
    if let meanDistance {
      lines.append(
        (
          "distance",
          "\(Numeral.fixed(meanDistance, digits: 3)) on average: total variation distance of a client's classes from those of all data, 0 to 1"
        ))
    }
    if let lostEdges, let edges {
      let share = Numeral.fixed(edges > 0 ? 100 * Double(lostEdges) / Double(edges) : 0, digits: 1)
      lines.append(("edges", "\(lostEdges) of \(edges) lie between clients and are lost (\(share) %)"))
    }
    if let least = clients.compactMap(\.noise).min(), let most = clients.compactMap(\.noise).max() {
      lines.append(
        (
          "noise",
          "deviation \(Numeral.fixed(least, digits: 3)) to \(Numeral.fixed(most, digits: 3)), of full brightness or of a column's deviation"
        ))
    }
    return lines
  }

  /// The counts as a file with a header: a line for each client.
  package var csv: String {
    func quoted(_ text: String) -> String {
      "\"\(ForeignText(text, limit: 200).description.replacing("\"", with: "\"\""))\""
    }
    var head = ["client", noun + "s", "classes", "distance", "noise", "edges", "cut edges"]
    head += classNames.map(quoted) + ["unlabelled"]
    let lines = clients.map { client in
      var cells = [client.name, "\(client.size)", client.classes.map { "\($0)" } ?? ""]
      cells += [client.distance, client.noise].map { $0.map { Numeral.fixed($0, digits: 6) } ?? "" }
      cells += [client.edges, client.cutEdges].map { $0.map { "\($0)" } ?? "" }
      cells += (client.counts ?? []).map { "\($0)" }
      cells.append(client.unlabelled.map { "\($0)" } ?? "")
      return cells.joined(separator: ",")
    }
    return ([head.joined(separator: ",")] + lines).joined(separator: "\n") + "\n"
  }
}
