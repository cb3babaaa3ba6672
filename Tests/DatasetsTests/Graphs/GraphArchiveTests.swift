import DataFiles
import Datasets
import Engine
import Testing

/// A graph of four nodes with two features as arrays: bytes of an array file by name.
struct GraphArrays {
  var members: [(name: String, bytes: [UInt8])] = [
    ("edges", GraphArrays.whole([4, 2], [0, 1, 1, 2, 2, 0, 1, 0])),
    ("x", GraphArrays.floats([4, 2], [1, 2, 3, 4, 5, 6, 7, 8])),
    ("y", GraphArrays.whole([4], [0, 2, 1, -1])),
    ("train_idx", GraphArrays.whole([1], [0])), ("val_idx", GraphArrays.whole([1], [2])),
    ("test_idx", GraphArrays.whole([2], [1, 3])),
  ]

  /// The same features as sparse rows.
  static var sparse: GraphArrays {
    var arrays = GraphArrays()
    arrays["x"] = nil
    arrays["x_indptr"] = whole([5], [0, 2, 4, 6, 8])
    arrays["x_indices"] = whole([8], [0, 1, 0, 1, 0, 1, 0, 1])
    arrays["x_data"] = floats([8], [1, 2, 3, 4, 5, 6, 7, 8])
    arrays["x_shape"] = whole([2], [4, 2])
    return arrays
  }

  static func whole(_ shape: [Int], _ values: [Int], fortran: Bool = false) -> [UInt8] {
    Make.npy(shape, values.flatMap { Make.little($0, 8) }, type: "<i8", fortran: fortran)
  }

  static func floats(_ shape: [Int], _ values: [Float], fortran: Bool = false) -> [UInt8] {
    Make.npy(shape, values.flatMap { Make.little(Int($0.bitPattern), 4) }, type: "<f4", fortran: fortran)
  }

  subscript(_ name: String) -> [UInt8]? {
    get { members.first { $0.name == name }?.bytes }
    set {
      members.removeAll { $0.name == name }
      if let newValue { members.append((name, newValue)) }
    }
  }

  var archive: [UInt8] { Make.zip(members.map { ($0.name + ".npy", $0.bytes) }) }
}

@Suite struct GraphArchiveTests {
  private let files = try! TestFiles()

  private func read(_ arrays: GraphArrays, _ options: GraphOptions = GraphOptions()) throws -> NodeSet {
    try NodeSet.read(archive: files.write("g.npz", arrays.archive), options)
  }

  private func rows(_ features: NodeFeatures) -> [[Float]] {
    (0..<features.count).map { node in
      var row = [Float](repeating: 0, count: features.width)
      features.write(node, into: &row)
      return row
    }
  }

  @Test(arguments: [false, true])
  func arraysAreRead(isSparse: Bool) throws {
    let set = try read(isSparse ? .sparse : GraphArrays())
    #expect(set.graph.starts == [0, 2, 4, 6, 6] && set.graph.columns == [1, 2, 0, 2, 0, 1])
    #expect(rows(set.features) == [[1, 2], [3, 4], [5, 6], [7, 8]] && set.features.isSparse == isSparse)
    #expect(set.labels == [0, 2, 1, -1] && set.classes == 3 && set.classNames == nil)
    #expect(set.dropped.reversed == 1 && set.dropped.total == 1 && set.cut == 0)
    // Node 3 has no label.
    #expect(set.split == NodeSet.Split(train: [0], validation: [2], test: [1]))
  }

  @Test func everyFormOfAnArrayIsTheSame() throws {
    let plain = try read(GraphArrays())
    var arrays = GraphArrays()
    for edges in [
      GraphArrays.whole([2, 4], [0, 1, 2, 1, 1, 2, 0, 0]),
      GraphArrays.whole([4, 2], [0, 1, 2, 1, 1, 2, 0, 0], fortran: true),
      GraphArrays.whole([2, 4], [0, 1, 1, 2, 2, 0, 1, 0], fortran: true),
      GraphArrays.floats([4, 2], [0, 1, 1, 2, 2, 0, 1, 0]),
      Make.npy([4, 2], [0, 1, 1, 2, 2, 0, 1, 0]),
    ] {
      arrays["edges"] = edges
      #expect(try read(arrays).graph == plain.graph)
    }
    arrays["x"] = GraphArrays.floats([4, 2], [1, 3, 5, 7, 2, 4, 6, 8], fortran: true)
    arrays["y"] = GraphArrays.floats([4, 1], [0, 2, 1, .nan])
    let set = try read(arrays)
    #expect(rows(set.features) == rows(plain.features) && set.labels == plain.labels)
    arrays["x"] = Make.npy([4, 2], [1, 2, 3, 4, 5, 6, 7, 8])
    #expect(rows(try read(arrays).features) == rows(plain.features))
  }

  @Test func rowsAreScaledIfAsked() throws {
    let set = try read(.sparse, GraphOptions(normalisesRows: true))
    #expect(rows(set.features)[0] == [Float(1) / 3, Float(2) / 3])
  }

  @Test func labelsAndSplitMayBeMissing() throws {
    var arrays = GraphArrays()
    for name in ["y", "train_idx", "val_idx", "test_idx"] { arrays[name] = nil }
    let set = try read(arrays)
    #expect(set.classes == 0 && set.labels == [-1, -1, -1, -1])
    #expect(set.split == NodeSet.Split(train: [], validation: [], test: []))
    let error = #expect(throws: DatasetError.self) { try read(arrays, GraphOptions(split: .public)) }
    #expect(
      error?.description.hasSuffix("has no lists of training, validation and test nodes for split=public")
        == true)
  }

  @Test func fullTakesAllOtherLabelledNodes() throws {
    var arrays = GraphArrays()
    arrays["y"] = GraphArrays.whole([4], [0, 2, 1, 0])
    arrays["test_idx"] = GraphArrays.whole([1], [1])
    #expect(
      try read(arrays, GraphOptions(split: .full)).split
        == NodeSet.Split(train: [0, 3], validation: [2], test: [1]))
    arrays["y"] = GraphArrays.whole([4], [0, 2, 1, -1])
    #expect(try read(arrays, GraphOptions(split: .full)).split.train == [0])
  }

  @Test func aRandomSplitIsDrawnFromLabelledNodes() throws {
    let count = 100
    var arrays = GraphArrays()
    arrays.members = [
      ("edges", GraphArrays.whole([1, 2], [0, 1])), ("x", Make.npy([count, 1], Make.noise(count, seed: 1))),
      ("y", GraphArrays.whole([count], (0..<count).map { $0 < 10 ? -1 : $0 % 3 })),
    ]
    let split = try read(arrays).split
    #expect([split.train, split.validation, split.test].map(\.count) == [54, 18, 18])
    #expect((split.train + split.validation + split.test).sorted() == Array(10..<100))
    #expect(try read(arrays, GraphOptions(split: .random)).split == split)
    #expect(try read(arrays, GraphOptions(seed: 1)).split != split)
    arrays["train_idx"] = GraphArrays.whole([2], [50, 11])
    #expect(try read(arrays).split == NodeSet.Split(train: [11, 50], validation: [], test: []))
    #expect(try read(arrays, GraphOptions(split: .random)).split == split)
  }

  /// The name of an array, what it is replaced by, and parts of the message.
  static let wrong: [(String, [UInt8]?, [String])] = [
    ("edges", nil, ["g.npz: has no array 'edges'", "It holds test_idx, train_idx, val_idx, x, y"]),
    ("x", nil, ["has no array 'x' or 'x_indptr'"]),
    (
      "edges", GraphArrays.whole([2, 2], [0, 1, 1, 4]),
      ["g.npz: edges.npy", "edge 1 has the node 4, where it is a whole number of 0 to 3"]
    ),
    ("edges", GraphArrays.whole([2, 2], [0, 1, -1, 2]), ["edge 1 has the node -1"]),
    ("edges", GraphArrays.whole([2, 3], [0, 1, 2, 1, 2, 9]), ["edge 2 has the node 9"]),
    ("edges", GraphArrays.floats([1, 2], [0, 1.5]), ["edge 0 has the node 1.5"]),
    ("edges", GraphArrays.floats([1, 2], [.nan, 1]), ["edge 0 has the node nan"]),
    ("edges", GraphArrays.whole([4], [0, 1, 2, 3]), ["has the shape [4], where edges are [E, 2] or [2, E]"]),
    ("edges", GraphArrays.whole([0, 2], []), ["g.npz: has no edges"]),
    ("edges", GraphArrays.whole([1, 2], [1, 1]), ["g.npz: has no edges but 1 self loop"]),
    (
      "edges", Make.npy([1, 2], Array("a...b...".utf8), type: "<U1"), ["holds <U1, where indices are numbers"]
    ),
    ("x", GraphArrays.floats([3, 2], [1, 2, 3, 4, 5, 6]), ["y.npy: has 4 labels for 3 nodes"]),
    ("x", GraphArrays.floats([5, 1], [1, 2, 3, 4, 5]), ["y.npy", "has 4 labels for 5 nodes"]),
    ("x", GraphArrays.floats([1, 2], [1, 2]), ["has 1 node, and a graph needs two"]),
    ("x", GraphArrays.floats([4], [1, 2, 3, 4]), ["has the shape [4], where features are [N, F]"]),
    ("x", GraphArrays.floats([4, 0], []), ["has 0 features"]),
    (
      "x", GraphArrays.floats([4, 2], [1, 2, 3, 4, 5, 6, 7, .nan]),
      ["x.npy", "node 3, feature 1 is nan, which is not finite"]
    ),
    ("x", GraphArrays.floats([4, 1], [1, 2, .infinity, 4]), ["node 2, feature 0 is inf"]),
    ("y", GraphArrays.whole([3], [0, 1, 0]), ["y.npy", "has 3 labels for 4 nodes"]),
    (
      "y", GraphArrays.whole([4, 2], Array(repeating: 0, count: 8)),
      ["has the shape [4, 2], where labels are [N]"]
    ),
    ("y", GraphArrays.whole([4], [0, 1, -2, 0]), ["node 2 has the label -2"]),
    ("y", GraphArrays.whole([4], [0, 1, 1 << 40, 0]), ["node 2 has the label 1099511627776"]),
    ("y", GraphArrays.floats([4], [0, 0.5, 1, 1]), ["node 1 has the label 0.5"]),
    ("test_idx", GraphArrays.whole([1], [4]), ["test_idx.npy", "entry 0 has the node 4"]),
    (
      "test_idx", GraphArrays.whole([1], [2]),
      ["test_idx.npy: names the node 2, which", "val_idx.npy names too"]
    ),
    ("train_idx", GraphArrays.whole([2], [0, 0]), ["train_idx.npy: names the node 0 twice"]),
  ]

  @Test(arguments: wrong.indices)
  func wrongArraysAreNamed(index: Int) throws {
    let (name, bytes, parts) = Self.wrong[index]
    var arrays = GraphArrays()
    arrays[name] = bytes
    try expect(arrays, parts, "\(name)")
  }

  static let wrongSparse: [(String, [UInt8]?, [String])] = [
    ("x_indices", nil, ["has no array 'x_indices'"]),
    ("x_shape", GraphArrays.whole([2], [5, 2]), ["x_indptr.npy", "has 5 starts of rows for 5 nodes"]),
    ("x_shape", GraphArrays.whole([2], [4, 1]), ["x_indices.npy", "entry 1 has the feature 1", "0 to 0"]),
    ("x_shape", GraphArrays.whole([2], [4, 1 << 40]), ["x_shape.npy", "F is 1 to"]),
    ("x_shape", GraphArrays.whole([2], [1 << 50, 2]), ["nodes, more than"]),
    ("x_indptr", GraphArrays.whole([5], [1, 2, 4, 6, 8]), ["x_indptr.npy", "starts with 1 instead of 0"]),
    ("x_indptr", GraphArrays.whole([5], [0, 4, 2, 6, 8]), ["row 1 ends at 2, before its start 4"]),
    (
      "x_indptr", GraphArrays.whole([5], [0, 2, 4, 6, 7]),
      ["x_indices.npy", "has 8 entries, and x_indptr ends at 7"]
    ),
    ("x_data", GraphArrays.floats([7], [1, 2, 3, 4, 5, 6, 7]), ["x_data.npy", "has 7 entries"]),
    ("x_data", GraphArrays.floats([8], [1, 2, 3, .infinity, 5, 6, 7, 8]), ["entry 3 is inf"]),
  ]

  @Test(arguments: wrongSparse.indices)
  func wrongSparseRowsAreNamed(index: Int) throws {
    let (name, bytes, parts) = Self.wrongSparse[index]
    var arrays = GraphArrays.sparse
    arrays[name] = bytes
    try expect(arrays, parts, "\(name)")
  }

  private func expect(_ arrays: GraphArrays, _ parts: [String], _ name: String) throws {
    let error = #expect(throws: DatasetError.self, "\(name)") { try read(arrays) }
    let text = error?.description ?? ""
    #expect(!text.contains("\n"))
    for part in parts { #expect(text.contains(part), "\(text)") }
  }

  /// A header may claim any size; the message comes before the allocation.
  @Test func claimedSizesAreCheckedAgainstTheFile() throws {
    var arrays = GraphArrays()
    let edges = GraphArrays.whole([1 << 40, 2], [0, 1])
    arrays["edges"] = edges
    try expect(arrays, ["edges.npy", "is too short"], "claimed")
    var archive = GraphArrays().archive
    archive.removeLast(100)
    let path = try files.write("cut.npz", archive)
    let error = #expect(throws: DatasetError.self) { try NodeSet.read(archive: path) }
    #expect(error?.description.contains("cut.npz: is not a zip archive") == true)
  }

  @Test func randomDamageIsAnErrorOrAGraph() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("GraphArchiveTests: seed \(seed)")
    for arrays in [GraphArrays(), .sparse] {
      for round in 0..<1500 {
        var random = RandomNumbers(seed, "damage", round)
        var damaged = arrays
        // Within an array, so that the archive's checksums do not hide the damage.
        let place = random.below(damaged.members.count)
        for _ in 0...random.below(3) {
          let byte = random.below(damaged.members[place].bytes.count)
          damaged.members[place].bytes[byte] = random.chance(0.3) ? 0xFF : UInt8(random.below(256))
        }
        if random.chance(0.1) { damaged.members[place].bytes.removeLast(random.below(60)) }
        do {
          let set = try read(damaged)
          #expect(set.graph.edges > 0 && rows(set.features).joined().allSatisfy(\.isFinite))
        } catch let error as DatasetError {
          #expect(
            !error.description.isEmpty && !error.description.contains("\n"), "seed \(seed), round \(round)")
        }
      }
    }
  }
}

/// The citation graphs that L2-GCN was published with.
@Suite(.enabled(if: SharedFolder.holds(SharedFolder.planetoid), "there is no ../shared/data/planetoid"))
struct PlanetoidTests {
  private func read(_ name: String, _ options: GraphOptions = GraphOptions()) throws -> NodeSet {
    try NodeSet.read(archive: SharedFolder.planetoid.appendingPathComponent(name).path, options)
  }

  @Test func cora() throws {
    let set = try read("cora.npz")
    #expect((set.count, set.graph.edges, set.features.width, set.classes) == (2708, 5278, 1433, 7))
    #expect(set.dropped.total == 0 && set.features.isSparse)
    #expect(set.split.train == Array(0..<140) && set.split.validation == Array(140..<640))
    #expect(set.split.test == Array(1708..<2708))
    let full = try read("cora.npz", GraphOptions(split: .full))
    #expect(full.split.train == Array(0..<140) + Array(640..<1708))
    #expect(full.split.train.count == 1208 && full.split.test == set.split.test)
  }

  @Test func citeseer() throws {
    let set = try read("citeseer.npz")
    #expect((set.count, set.graph.edges, set.features.width, set.classes) == (3327, 4552, 3703, 6))
    #expect((0..<set.count).count { set.graph.degree(of: $0) == 0 } == 48)
    #expect(try read("citeseer.npz", GraphOptions(split: .full)).split.train.count == 1812)
    #expect([set.split.train, set.split.validation, set.split.test].map(\.count) == [120, 500, 1000])
  }

  @Test func communitiesKeepMostEdges() throws {
    // METHODS of the reference: with ten clients 90 % of the edges are dropped at random, and 18 % by communities.
    let set = try read("cora.npz")
    func share(_ partition: Partition) throws -> Double {
      LostEdges(of: set.graph, among: try partition.split(.nodes(set), clients: 10, seed: 1)).share
    }
    let (community, even) = (try share(.community), try share(.even))
    #expect(abs(community - 0.18) < 0.005 && abs(even - 0.9) < 0.02)
  }
}
