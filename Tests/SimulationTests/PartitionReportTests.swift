import Datasets
import Engine
import Foundation
import PageChecks
import Simulation
import Support
import Testing

@Suite struct PartitionReportTests {
  private func report(
    _ data: String, _ partition: String, clients: Int = 4, seed: UInt64 = 1
  ) throws -> PartitionReport {
    try PartitionReport(
      DataSpec(parsing: data).dataset(role: .train), data: data, by: Partition(parsing: partition),
      clients: clients, seed: seed)
  }

  /// The figures follow from the lists of indices, which this counts again.
  @Test(arguments: ["even", "dirichlet:0.3", "shards:3", "sorted:2", "quantity:0.5", "noise:0.2"])
  func theFiguresAreThoseOfThePartition(partition: String) throws {
    let set = try DataSpec(parsing: "shapes:400").dataset(role: .train)
    let parts = try Partition(parsing: partition).split(set, clients: 4, seed: 1)
    let labels = try #require(set.labels)
    let report = try report("shapes:400", partition)
    for (client, part) in zip(report.clients, parts) {
      #expect(client.size == part.count && client.counts?.count == 10)
      let distance = (0..<10).reduce(0.0) { sum, label in
        let own = Double(part.count { labels[$0] == label }) / Double(part.count)
        return sum + abs(own - Double(labels.count { $0 == label }) / 400) / 2
      }
      #expect(abs((client.distance ?? -1) - distance) < 1e-9)
      #expect(client.classes == Set(part.map { labels[$0] }).count)
      #expect((client.noise != nil) == (partition == "noise:0.2"))
    }
    #expect(report.sizes == parts.map(\.count).min()!...parts.map(\.count).max()!)
    #expect(report.counts.reduce(0, +) == 400)
  }

  @Test(arguments: [(4, 80), (100, 80), (100, 40), (100, 200)])
  func theTableFitsTheTerminal(clients: Int, columns: Int) throws {
    let report = try report("shapes:4000", "dirichlet:0.5", clients: clients)
    let lines = PartitionTable(report, columns: columns).lines
    #expect(lines.dropLast(3).allSatisfy { $0.count <= columns }, "\(lines)")
    for client in report.clients { #expect(lines.contains { $0.hasPrefix(client.name) }) }
  }

  /// A hundred classes are digits, as many beside each other as fit.
  @Test func manyClassesAreDigits() throws {
    let labels = (0..<5000).map { $0 % 100 }
    let set = ImageSet(
      pixels: [UInt8](repeating: 0, count: 5000), count: 5000, channels: 1, size: 1, labels: labels,
      classes: 100)
    let report = try PartitionReport(
      .images(set), data: "x", by: .shards(classes: 10), clients: 100, seed: 1)
    let lines = PartitionTable(report, columns: 80).lines
    #expect(lines.allSatisfy { $0.count <= 80 } && lines.count > 200)
    // A dot for each of the ninety other classes, and the point of the distance.
    let own = lines.filter { $0.hasPrefix("client-07") }.joined()
    #expect(own.count { $0 == "." } == 91, "\(own)")
    #expect(lines.last?.contains("--csv") == true)
  }

  @Test func unlabelledImagesAndGraphsHaveSizes() throws {
    let bare = ImageSet(pixels: [UInt8](repeating: 0, count: 100), count: 100, channels: 1, size: 1)
    let report = try PartitionReport(.images(bare), data: "x", by: .even, clients: 3, seed: 1)
    #expect(report.classNames == [] && report.clients.allSatisfy { $0.counts == nil && $0.distance == nil })
    #expect(
      PartitionTable(report, columns: 80).lines == [
        "client    images", "client-0      34", "client-1      33", "client-2      33", "all          100",
      ])
    let graph = try self.report("sbm:200", "community")
    let (lost, all) = (try #require(graph.lostEdges), try #require(graph.edges))
    #expect(graph.clients.reduce(0) { $0 + ($1.edges ?? 0) } + lost == all)
    #expect(graph.clients.reduce(0) { $0 + ($1.cutEdges ?? 0) } == 2 * lost)
    #expect(graph.summary.contains { $0.name == "edges" })
  }

  @Test func theCSVHasALineForEachClient() throws {
    let lines = try report("shapes:100", "noise:0.5").csv.split(separator: "\n").map(String.init)
    #expect(lines.count == 5)
    #expect(lines[0].hasPrefix("client,images,classes,distance,noise,edges,cut edges,\"0\",\"1\""))
    #expect(lines.allSatisfy { $0.count { $0 == "," } == lines[0].count { $0 == "," } })
    #expect(lines[4].contains(",0.500000,"))
  }

  @Test(arguments: ["shapes:200", "sbm:200", "regression:100"])
  func thePageIsMarkup(data: String) throws {
    let report = try report(data, "dirichlet:0.5")
    let found = try MarkupCheck.parse(PartitionPage(report).html)
    for client in report.clients { #expect(found.text.contains(client.name)) }
    #expect(found.count("svg") == 4 && found.count("figure") == 1)
    for (_, text) in report.summary { #expect(found.text.contains(text)) }
  }

  @Test func aPageOfTooManyCellsHasBarsOnly() throws {
    let labels = (0..<40_000).map { $0 % 300 }
    let set = ImageSet(
      pixels: [UInt8](repeating: 0, count: 40_000), count: 40_000, channels: 1, size: 1, labels: labels,
      classes: 300)
    let report = try PartitionReport(.images(set), data: "x", by: .even, clients: 200, seed: 1)
    let found = try MarkupCheck.parse(PartitionPage(report).html)
    #expect(found.text.contains("The picture of 300 classes at 200 clients is not drawn"))
    #expect(found.count("svg") == 200)
  }
}
