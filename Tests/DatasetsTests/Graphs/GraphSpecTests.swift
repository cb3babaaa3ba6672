import DataFiles
import Datasets
import Engine
import Testing

@Suite struct GraphSpecTests {
  private let files = try! TestFiles()

  private func nodes(_ text: String) throws -> NodeSet {
    guard case .nodes(let set) = try DataSpec(parsing: text).dataset(role: .train) else {
      throw DatasetError.otherInput(own: text, encoder: "nodes")
    }
    return set
  }

  @Test func theOptionsAreThoseOfTheGraph() throws {
    let path = try files.write("g.npz", GraphArrays().archive)
    #expect(try nodes("graph:\(path)").split.train == [0])
    #expect(
      try nodes("graph:\(path)?split=full").split == NodeSet.Split(train: [0], validation: [2], test: [1]))
    #expect(try nodes("graph:\(path)?split=random&seed=4").split.train.count == 3)
    var row = [Float](repeating: 0, count: 2)
    try nodes("graph:\(path)?normalise=rows").features.write(1, into: &row)
    #expect(row == [Float(3) / 7, Float(4) / 7])
    for (name, text) in GraphFolderTests.plain { try files.write("f/\(name)", Array(text.utf8)) }
    #expect(try nodes("graph:\(files.path)/f").graph.columns == [1, 2, 0, 2, 0, 1])
  }

  @Test func theOptionsAreThoseOfTheGenerator() throws {
    var model = BlockModel(nodes: 80)
    (model.classes, model.degree, model.features, model.words, model.seed) = (3, 6, 12, 4, 9)
    (model.homophily, model.noise) = (0.5, 0.25)
    let made = model.generate()
    let text = "sbm:80?classes=3&degree=6&features=12&words=4&seed=9&homophily=0.5&noise=0.25"
    let set = try nodes(text)
    #expect(set.graph == made.graph && set.labels == made.labels && set.split == made.split)
    var (one, other) = ([Float](repeating: 0, count: 12), [Float](repeating: 0, count: 12))
    for node in 0..<80 {
      set.features.write(node, into: &one)
      made.features.write(node, into: &other)
      #expect(one == other)
    }
    try nodes(text + "&normalise=rows").features.write(3, into: &one)
    #expect(abs(one.reduce(0, +) - 1) < 1e-6)
    // Both roles have the same graph.
    guard case .nodes(let test) = try DataSpec(parsing: text).dataset(role: .test) else { return }
    #expect(test.graph == set.graph && test.split == set.split)
  }

  @Test(arguments: [
    ("graph:x?skip=1", "unknown option 'skip' for kind 'graph', which has normalise, seed, split"),
    ("graph:x?limit=1", "unknown option 'limit'"),
    ("sbm:9?shuffle=1", "unknown option 'shuffle' for kind 'sbm'"),
    ("graph:x?split=train", "split 'train' is not one of public, full, random"),
    ("graph:x?normalise=row", "normalise 'row' is not one of none, rows; did you mean rows?"),
    ("sbm:1", "NODES '1' is not a whole number, 2 to 100000000"),
    ("sbm:2?noise=1.5", "noise '1.5' is not a number"),
    ("sbm:9?homophily=nan", "homophily 'nan' is not a number of 0.0 to 1.0"),
    ("sbm:9?classes=0", "classes '0' is not a whole number"),
  ])
  func wrongOptionsAreNamed(text: String, words: String) {
    let error = #expect(throws: DatasetError.self) { try DataSpec(parsing: text) }
    #expect(error?.description.contains(words) == true, "\(error.map { "\($0)" } ?? "")")
  }

  @Test func graphsAndImagesAreNotExchanged() throws {
    let (graph, images) = (try DataSpec(parsing: "sbm:9"), try DataSpec(parsing: "shapes:9"))
    func reason(_ body: () throws -> Void) -> String? {
      (#expect(throws: DatasetError.self) { try body() })?.description
    }
    #expect(
      reason { _ = try graph.dataset(role: .train, for: .images(ImageInput(side: 8))) }
        == "the data are nodes, and the encoder takes images")
    #expect(
      reason { _ = try images.dataset(role: .train, for: .nodes(features: 8)) }
        == "the data are images, and the encoder takes nodes")
    #expect(
      reason { _ = try graph.dataset(role: .train, for: .nodes(features: 8)) }
        == "the data are nodes of 100 features, and the encoder takes nodes of 8")
    #expect(reason { _ = try graph.load(role: .train) } == "the data are nodes, and the encoder takes images")
    #expect(try graph.dataset(role: .train, for: .nodes(features: 100)).count == 9)
  }

  @Test func aMissingArchiveIsNamed() {
    for (name, words) in [("x.npz", "x.npz: cannot be read: No such file"), ("x", "x: no such directory")] {
      let error = #expect(throws: DatasetError.self) { try nodes("graph:\(files.path)/\(name)") }
      #expect(error?.description.contains(words) == true)
    }
  }

  @Test func namedClassesAreMatchedWithThoseOfAJob() throws {
    let set = NodeSet(
      Graph.undirected([0, 1, 1, 2], nodes: 4).graph, NodeFeatures([1, 2, 3, 4], width: 1),
      labels: [0, 1, -1, 1],
      classes: 2, classNames: ["cat", "dog"], split: .init(train: [0, 3], validation: [], test: [1]))
    let job = try set.labelled(by: .names(["ant", "dog", "cat"]))
    #expect(job.labels == [2, 1, -1, 1] && job.classes == 3 && job.split == set.split)
    #expect(try set.labelled(by: .count(2)).labels == [0, 1, -1, 1])
    for classes in [ClassList.names(["ant", "dog"]), .count(3)] {
      #expect(throws: DatasetError.self) { try set.labelled(by: classes) }
    }
  }

  @Test func aReportCountsNodesAndEdges() throws {
    let edges: [Int32] = [0, 1, 1, 0, 1, 2, 2, 2, 1, 2, 1, 3]
    let (graph, dropped) = Graph.undirected(edges, nodes: 6)
    let set = NodeSet(
      graph, NodeFeatures(Array(repeating: 1, count: 12), width: 2), labels: [0, 1, -1, 1, -1, 2], classes: 4,
      classNames: ["a", "b", "c", "d"], split: .init(train: [0, 1], validation: [3], test: [5]),
      dropped: dropped)
    let report = GraphReport(set)
    #expect((report.nodes, report.edges, report.features, report.isSparse) == (6, 3, 2, false))
    #expect(report.degree.min == 0 && report.degree.median == 1 && report.degree.max == 3)
    #expect(report.isolated == 2 && report.unlabelled == 2)
    #expect(
      report.classes.map(\.name) == ["a", "b", "c", "d"] && report.classes.map(\.count) == [1, 2, 1, 0])
    #expect((report.train, report.validation, report.test) == (2, 1, 1))
    #expect((report.dropped.selfLoops, report.dropped.reversed, report.dropped.repeated) == (1, 1, 1))
    #expect(report.cut == 0 && GraphReport(set.subset([0, 2, 3])).cut == 3)
  }
}
