import DataFiles
import Datasets
import Engine
import Testing

@Suite struct GraphFolderTests {
  private let files = try! TestFiles()

  /// A graph of four nodes.
  static let plain = [
    "edges.csv": "0,1\n1,2\n2,0\n", "features.csv": "1,2\n3,4\n5,6\n7,8\n", "labels.csv": "0\n2\n1\n\n",
  ]

  private func read(_ changes: [String: String?], _ options: GraphOptions = GraphOptions()) throws -> NodeSet
  {
    let folder = "g\(UInt64.random(in: 0...UInt64.max))"
    for (name, text) in Self.plain where changes[name] == nil {
      try files.write("\(folder)/\(name)", Array(text.utf8))
    }
    for (name, text) in changes { if let text { try files.write("\(folder)/\(name)", Array(text.utf8)) } }
    return try NodeSet.read(folder: "\(files.path)/\(folder)", options)
  }

  private func rows(_ features: NodeFeatures) -> [[Float]] {
    (0..<features.count).map { node in
      var row = [Float](repeating: 0, count: features.width)
      features.write(node, into: &row)
      return row
    }
  }

  @Test func textIsRead() throws {
    let set = try read(["train.csv": "0\n", "val.csv": "1\n", "test.csv": "2\n3\n"])
    #expect(set.graph.starts == [0, 2, 4, 6, 6] && set.graph.columns == [1, 2, 0, 2, 0, 1])
    #expect(rows(set.features) == [[1, 2], [3, 4], [5, 6], [7, 8]])
    #expect(set.labels == [0, 2, 1, -1] && set.classes == 3)
    #expect(set.split == NodeSet.Split(train: [0], validation: [1], test: [2]))
  }

  @Test(arguments: [
    "source,target\n0,1\n1,2\n2,0\n", "# a comment\n\n0 1\n1 2\n2 0", "0\t1\r\n1\t2\r\n2\t0\r\n",
    "0;1\n1 ; 2\n2;0\n", "\u{FEFF}a b\n  0 1  \n1.0 2.000000e+00\n2 0\n",
    "%%MatrixMarket\n% b\n0, 1\n1, 2\n2, 0\n",
  ])
  func everyWayToWriteEdgesIsRead(text: String) throws {
    #expect(try read(["edges.csv": text]).graph.columns == [1, 2, 0, 2, 0, 1], "\(text)")
    #expect(try read(["edges.csv": nil, "edges.txt": text]).graph.columns == [1, 2, 0, 2, 0, 1])
  }

  @Test(arguments: [
    "a,b\n1,2\n3,4\n5,6\n7,8\n", "1 2\n3 4\n5 6\n7 8\n", "id,a,b\n0,1,2\n1,3,4\n2,5,6\n3,7,8\n",
    ",\"a\",\"b\"\r\n0,1,2\r\n1,3,4\r\n2,5,6\r\n3,7,8", "1.0,2e0\n3.,+4\n5,6\n0.07e2,8\n",
  ])
  func everyWayToWriteFeaturesIsRead(text: String) throws {
    #expect(
      rows(try read(["features.csv": text]).features) == [[1, 2], [3, 4], [5, 6], [7, 8]], "\(text)")
  }

  @Test(arguments: [
    ("0\n2\n1\n\n", nil), ("label\n0\n2\n1\n-1\n", nil), ("0\n2\n1\n\n\n\n", nil),
    ("0.0\n2.0\n1.0\nnan", nil),
    ("node,label\n0,0\n2,1\n1,2\n", nil), ("2,1\n0,0\n1,2\n3,\n", nil), ("0 0\n1 2\n2 1\n", nil),
    ("Cats\nNets\nDogs\n\n", ["Cats", "Dogs", "Nets"]),
    ("class\nCats\nNets\nDogs\n\n", ["Cats", "Dogs", "Nets"]),
    ("id;subject\n0;Neural Nets\n1;\"b, c\"\n2;\"a\"\n", ["Neural Nets", "a", "b, c"]),
  ])
  func everyWayToWriteLabelsIsRead(text: String, names: [String]?) throws {
    let set = try read(["labels.csv": text])
    #expect(set.labels == [0, 2, 1, -1], "\(text)")
    #expect(set.classNames == names && set.classes == 3, "\(text)")
  }

  @Test func arraysAndCompressedTextAreRead() throws {
    try files.write("a/edges.npy", GraphArrays.whole([2, 3], [0, 1, 2, 1, 2, 0]))
    try files.write("a/features.npy", GraphArrays.floats([4, 2], [1, 2, 3, 4, 5, 6, 7, 8]))
    try files.write("a/labels.npy", GraphArrays.whole([4], [0, 2, 1, -1]))
    try files.write("a/test.npy", GraphArrays.whole([1], [2]))
    try files.write("a/valid.txt.gz", Make.gzip(Array("node\n1\n".utf8)))
    let set = try NodeSet.read(folder: files.path + "/a")
    #expect(set.graph.columns == [1, 2, 0, 2, 0, 1] && rows(set.features)[3] == [7, 8])
    #expect(set.labels == [0, 2, 1, -1])
    #expect(set.split == NodeSet.Split(train: [], validation: [1], test: [2]))
    try files.write("b/edges.csv.gz", Make.gzip(Array("0,1\n1,2\n2,0\n".utf8)))
    let rows = Make.zip([
      ("indices.npy", GraphArrays.whole([2], [1, 0])),
      ("indptr.npy", GraphArrays.whole([5], [0, 1, 1, 2, 2])),
      ("data.npy", GraphArrays.floats([2], [1, 1])), ("shape.npy", GraphArrays.whole([2], [4, 2])),
    ])
    try files.write("b/features.npz", rows)
    let sparse = try NodeSet.read(folder: files.path + "/b")
    #expect(self.rows(sparse.features) == [[0, 1], [0, 0], [1, 0], [0, 0]] && sparse.features.isSparse)
    #expect(sparse.graph == set.graph && sparse.classes == 0)
  }

  /// Changed files, and parts of the message.
  static let wrong: [([String: String?], [String])] = [
    (["edges.csv": nil], ["no file named edges.csv, edges.tsv, edges.txt or edges.npy in this directory"]),
    (["features.csv": nil], ["no file named features.csv", "features.npz"]),
    (["edges.txt": "0 1"], ["has edges.csv and edges.txt; only one is possible"]),
    (
      ["edges.csv": "0,1\n1,4\n"],
      ["edges.csv: line 2 has the node '4', where it is a whole number of 0 to 3"]
    ),
    (["edges.csv": "a,b\n0,-1\n"], ["edges.csv: line 2 has the node '-1'"]),
    (["edges.csv": "0,1\n1,1.5\n"], ["line 2 has the node '1.5'"]),
    (["edges.csv": "0,1\na,b\n"], ["line 2 has the node 'a'"]),
    (["edges.csv": "0,1,0.5\n"], ["line 1 has 3 columns, where an edge is two nodes; edges have no weights"]),
    (["edges.csv": "0,1\n2\n"], ["line 2 has 1 column, where an edge is two nodes"]),
    (["edges.csv": "0,1\n2,\n"], ["line 2 has the node empty"]),
    (["edges.csv": ""], ["has no edges"]), (["edges.csv": "source,target\n"], ["has no edges"]),
    (["edges.csv": "1,1\n2,2\n"], ["has no edges but 2 self loops"]),
    (
      ["features.csv": "1,2\n3,4\n"],
      ["edges.csv: line 2 has the node '2', where it is a whole number of 0 to 1"]
    ),
    (["features.csv": "1,2\n"], ["has 1 node, and a graph needs two"]),
    (["features.csv": ""], ["features.csv: has no numbers"]),
    (["features.csv": "a,b\n"], ["features.csv: has no numbers after its header"]),
    (["features.csv": "1,2\n3\n5,6\n7,8\n"], ["line 2 has 1 number, where the first has 2"]),
    (["features.csv": "1,2\n3,4,5\n5,6\n7,8\n"], ["line 2 has 3 numbers"]),
    (["features.csv": "1,2\n3,nan\n5,6\n7,8\n"], ["line 2 has 'nan' in column 2, which is not finite"]),
    (["features.csv": "1,2\n3,4\n5,\n7,8\n"], ["line 3 has no number in column 2: empty"]),
    (["features.csv": "1,2\n3,4\n5,x\n7,8\n"], ["line 3 has no number in column 2: 'x'"]),
    (["features.csv": "1,2\n3,1e39\n5,6\n7,8\n"], ["line 2 has '1e39' in column 2, which is not finite"]),
    (["features.csv": "id,a\n0,1\n2,3\n1,2\n"], ["line 3 has not the row number 1 in its first column"]),
    (["labels.csv": "0\n1\n"], ["labels.csv: has 2 labels for 4 nodes"]),
    (["labels.csv": "0\n1\n0\n1\n0\n"], ["has 5 labels for 4 nodes"]),
    (["labels.csv": "a\nb\na\nb\na\n"], ["has 5 labels for 4 nodes"]),
    (["labels.csv": "0\n1\n0\n-2\n"], ["has the label -2"]),
    (["labels.csv": "0\n1\n0\n9000000000000\n"], ["has the label 9000000000000"]),
    (["labels.csv": "node,label\n0,1\n4,0\n"], ["line 3 has the node 4, where nodes are 0 to 3, each once"]),
    (["labels.csv": "0,1\n0,0\n"], ["line 2 has a second label of the node 0"]),
    (["labels.csv": "0,1\nb,0\n"], ["line 2 has no node"]),
    (["labels.csv": "0,1,2\n"], ["line 1 has 3 columns"]),
    (["train.csv": "4\n"], ["train.csv: line 1 has the node '4'"]),
    (["train.csv": "1\n", "test.csv": "1\n"], ["test.csv: names the node 1, which", "train.csv names too"]),
    (["val.csv": "1\n", "valid.csv": "2\n"], ["has val.csv and valid.csv; only one is possible"]),
  ]

  @Test(arguments: wrong.indices)
  func wrongFilesAreNamed(index: Int) throws {
    let (changes, parts) = Self.wrong[index]
    let error = #expect(throws: DatasetError.self, "\(changes)") { try read(changes) }
    let text = error?.description ?? ""
    #expect(!text.contains("\n"))
    for part in parts { #expect(text.contains(part), "\(text)") }
  }

  @Test func aMissingFolderIsNamed() {
    let error = #expect(throws: DatasetError.self) { try NodeSet.read(folder: files.path + "/none") }
    #expect(error?.description.contains("none: no such directory") == true)
  }

  @Test func linesLongerThanAPieceAreRead() throws {
    let width = 50_000
    let row = (0..<width).map { "\($0 % 1000)" }.joined(separator: ",")
    let set = try read(["features.csv": "\(row)\n\(row)\n\(row)\n\(row)"])
    #expect(set.features.width == width && rows(set.features)[3][49_999] == 999)
  }

  @Test func manyLinesAreRead() throws {
    let count = 40_000
    let edges = (1..<count).map { "\($0 - 1) \($0)\n" }.joined()
    let features = (0..<count).map { "\($0)\n" }.joined()
    let set = try read(["edges.csv": edges, "features.csv": features, "labels.csv": nil])
    #expect(set.count == count && set.graph.edges == count - 1)
    #expect(rows(set.features)[39_999] == [39_999])
  }

  @Test func randomDamageIsAnErrorOrAGraph() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("GraphFolderTests: seed \(seed)")
    for (name, text) in Self.plain {
      for round in 0..<700 {
        var random = RandomNumbers(seed, name, round)
        var bytes = Array(text.utf8)
        for _ in 0...random.below(3) {
          let place = random.below(bytes.count)
          switch random.below(3) {
          case 0: bytes[place] = UInt8(random.below(256))
          case 1:
            bytes.insert(contentsOf: Array("9,;-e\n\"\0".utf8).shuffled(using: &random).prefix(2), at: place)
          default: bytes.removeSubrange(place..<min(place + 2, bytes.count))
          }
          if bytes.isEmpty { bytes = [10] }
        }
        for (other, text) in Self.plain {
          try files.write("d/\(other)", other == name ? bytes : Array(text.utf8))
        }
        do throws(DatasetError) {
          let set = try NodeSet.read(folder: files.path + "/d")
          #expect(set.graph.edges > 0 && rows(set.features).joined().allSatisfy(\.isFinite))
        } catch {
          #expect(
            !error.description.isEmpty && !error.description.contains("\n"), "seed \(seed), round \(round)")
        }
      }
    }
  }
}
