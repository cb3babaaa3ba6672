import DataFiles
import Datasets
import Engine
import Foundation
import Testing

@Suite struct FeatureRowsTests {
  private let files = try! TestFiles()

  private func load(_ spec: String, role: DataRole = .train) throws -> FeatureRows {
    guard case .rows(let rows) = try DataSpec(parsing: spec).dataset(role: role) else {
      throw DatasetError.badSpecification(spec, problem: "no rows")
    }
    return rows
  }

  private func csv(_ text: String, _ options: String = "", name: String = "x.csv") throws -> FeatureRows {
    try files.write(name, Array(text.utf8))
    return try load("rows:\(files.path)/\(name)\(options)")
  }

  private func doubles(_ values: [Double]) -> [UInt8] {
    values.flatMap { value in (0..<8).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) } }
  }

  private func npy(_ shape: [Int], _ values: [Double], fortran: Bool = false) -> [UInt8] {
    Make.npy(shape, doubles(values), type: "<f8", fortran: fortran)
  }

  /// Expects an error of one line that begins with the file's path.
  private func expect(
    _ text: String, file: String = "x.csv", sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () throws -> FeatureRows
  ) {
    let error = #expect(throws: DatasetError.self, sourceLocation: sourceLocation) { _ = try body() }
    let line = error?.description ?? ""
    #expect(
      line.contains(text) && line.hasPrefix("\(files.path)/\(file)") && !line.contains("\n"), "\(line)",
      sourceLocation: sourceLocation)
  }

  private func all(_ rows: FeatureRows) -> (inputs: [[Double]], targets: [[Double]]) {
    (
      (0..<rows.count).map { Array(rows.inputs(of: $0)) },
      (0..<rows.count).map { Array(rows.targets(of: $0)) }
    )
  }

  // MARK: - CSV

  @Test func theLastColumnIsTheTarget() throws {
    let rows = try csv("a,b,price\n1,2.5,-3e-3\n0.1,4,5\n")
    #expect(rows.count == 2 && rows.inputCount == 2 && rows.targetCount == 1)
    #expect(rows.inputNames == ["a", "b"] && rows.targetNames == ["price"])
    // float64 is kept.
    #expect(all(rows).inputs == [[1, 2.5], [0.1, 4]] && all(rows).targets == [[-3e-3], [5]])
  }

  @Test func targetsAndInputsAreChosen() throws {
    let text = "id,a,b,c\nfirst,1,2,3\nsecond,4,5,6\n"
    let named = try csv(text, "?targets=c,a&inputs=b")
    #expect(all(named).inputs == [[2], [5]] && all(named).targets == [[3, 1], [6, 4]])
    #expect(named.targetNames == ["c", "a"])
    let last = try csv(text, "?targets=2&inputs=a")
    #expect(all(last).inputs == [[1], [4]] && all(last).targets == [[2, 3], [5, 6]])
    #expect(try csv("a,b\n1,2\n", "?targets=0").targetCount == 0)
  }

  @Test(arguments: [
    "a;b\r\n1;2\r\n3;4\r\n", "a\tb\n1\t2\n3\t4", "\u{FEFF}a,b\n1,2\n\n3,4\n\n",
    "\"a\",\"b\"\n\"1\",2\n 3 , \"4\"\n",
  ])
  func separatorsQuotesAndBlanks(text: String) throws {
    let rows = try csv(text)
    #expect(all(rows).inputs == [[1], [3]] && all(rows).targets == [[2], [4]])
  }

  @Test func doubledQuotationMarksStandForOne() throws {
    let rows = try csv("\"\"\"a\"\"\",\"\"\"\"\"b\",\"\"\n1,2,3\n")
    #expect(rows.inputNames == ["\"a\"", "\"\"b"] && rows.targetNames == [""])
  }

  @Test func namesMayHaveSeparatorsAndQuotationMarks() throws {
    let rows = try csv("\"a, b\",\"the \"\"c\"\"\",d\n1,2,3\n", "?targets=the \"c\"")
    #expect(rows.inputNames == ["a, b", "d"] && all(rows).targets == [[2]])
  }

  @Test func compressedFilesAreRead() throws {
    try files.write("x.csv.gz", Make.gzip(Array("a,b\n1,2\n".utf8)))
    #expect(all(try load("rows:\(files.path)/x.csv.gz")).targets == [[2]])
  }

  @Test(arguments: [
    ("", "is empty"), ("a,b\n", "has no rows after its header"),
    ("1,2\n3,4\n", "line 1 has only numbers, where a header"),
    ("a,b\n1,2\n3,4,5\n", "line 3 has 3 fields, where the header has 2"),
    ("a,b\n1,2\n3\n", "line 3 has 1 field, where the header has 2"),
    ("a,b\n1,x7\n", "line 2 has no number in column 2 (b): it is 'x7'"),
    ("a,b\n,2\n", "line 2 has no number in column 1 (a): it is empty"),
    ("a,b\n1,2\nnan,2\n", "line 3 has 'nan' in column 1 (a), which is not finite"),
    ("a,b\n1,-inf\n", "line 2 has '-inf' in column 2 (b), which is not finite"),
    ("a,b\n1,1e400\n", "in column 2 (b), which is not finite"),
    ("a,b\n\"1,2\n", "line 2 has a quotation mark in field 1 that is not closed"),
    ("a,b\n\"1\"0,2\n", "line 2 has text behind the quotation mark of field 1"),
    ("a,a\n1,2\n", "line 1 has the name 'a' twice"), ("a\n1\n", "too few for 1 target and an input"),
  ])
  func wrongFilesAreNamedWithTheirLine(text: String, message: String) {
    expect(message) { try csv(text) }
  }

  @Test(arguments: [
    ("targets=pric", "has no column 'pric'; did you mean price? It has a, b, price"),
    ("targets=price,nothing", "has no column 'nothing'"), ("inputs=x", "has no column 'x'"),
    ("inputs=a,price", "has the column 'price' as an input and a target"),
    ("inputs=a,a", "name twice"), ("targets=-1", "has no column '-1'"),
    ("targets=3", "too few for 3 targets and an input"),
    ("targets=9", "too few"),
  ])
  func missingColumnsAreNamed(option: String, message: String) {
    expect(message) { try csv("a,b,price\n1,2,3\n", "?\(option)") }
  }

  // MARK: - NumPy

  @Test(arguments: [false, true]) func anArrayHasItsTargetsLast(fortran: Bool) throws {
    let values: [Double] = fortran ? [1, 4, 2, 5, 3, 6] : [1, 2, 3, 4, 5, 6]
    try files.write("x.npy", npy([2, 3], values, fortran: fortran))
    let rows = try load("rows:\(files.path)/x.npy?targets=2")
    #expect(all(rows).inputs == [[1], [4]] && all(rows).targets == [[2, 3], [5, 6]])
    #expect(all(try load("rows:\(files.path)/x.npy?limit=1")).targets == [[3]])
  }

  @Test func targetsMayBeAnotherFile() throws {
    try files.write("x.npy", npy([3, 2], [1, 2, 3, 4, 5, 6]))
    try files.write("y.npy", npy([3], [7, 8, 9]))
    let rows = try load("rows:\(files.path)/x.npy?targets=\(files.path)/y.npy")
    #expect(all(rows).inputs == [[1, 2], [3, 4], [5, 6]] && all(rows).targets == [[7], [8], [9]])
    try files.write("y.npy", npy([2], [7, 8]))
    expect("has 2 rows, and there are 3 of inputs", file: "y.npy") {
      try load("rows:\(files.path)/x.npy?targets=\(files.path)/y.npy")
    }
  }

  @Test func everyTypeOfNumberIsRead() throws {
    for (type, bytes) in [
      ("<f4", [0, 0, 128, 63, 0, 0, 0, 64]), ("<i2", [1, 0, 2, 0]), ("|u1", [1, 2]),
      (">f8", doubles([1]).reversed() + doubles([2]).reversed()),
    ] as [(String, [UInt8])] {
      try files.write("x.npy", Make.npy([1, 2], bytes, type: type))
      #expect(all(try load("rows:\(files.path)/x.npy")).inputs == [[1]], "\(type)")
    }
  }

  @Test func anArchiveHasXAndY() throws {
    try files.write(
      "x.npz", Make.zip([("x.npy", npy([2, 1], [1, 2])), ("y.npy", npy([2, 2], [3, 4, 5, 6]))]))
    for role in [DataRole.train, .test] {
      let rows = try load("rows:\(files.path)/x.npz", role: role)
      #expect(all(rows).inputs == [[1], [2]] && all(rows).targets == [[3, 4], [5, 6]])
    }
    let swapped = try load("rows:\(files.path)/x.npz?inputs=y&targets=x")
    #expect(swapped.inputCount == 2 && swapped.targetCount == 1)
    expect("has no array 'z'", file: "x.npz") {
      try load("rows:\(files.path)/x.npz?targets=z")
    }
    expect("has no array 'x_val'", file: "x.npz") { try load("rows:\(files.path)/x.npz?split=val") }
    expect("targets are an array of their own", file: "x.npz") {
      try load("rows:\(files.path)/x.npz?targets=2")
    }
  }

  @Test func anArchiveMayHaveSplits() throws {
    try files.write(
      "x.npz",
      Make.zip(
        ["train", "test"].enumerated().flatMap { index, split in
          [
            ("x_\(split).npy", npy([1, 1], [Double(index)])),
            ("y_\(split).npy", npy([1], [Double(index) + 10])),
          ]
        }))
    #expect(all(try load("rows:\(files.path)/x.npz")).targets == [[10]])
    #expect(all(try load("rows:\(files.path)/x.npz", role: .test)).targets == [[11]])
    #expect(all(try load("rows:\(files.path)/x.npz?split=test")).targets == [[11]])
  }

  @Test func wrongArraysAreNamed() throws {
    for (bytes, message) in [
      (npy([2, 2], [1, 2, .nan, 4]), "row 1, column 0 is nan, which is not finite"),
      (npy([2, 2], [1, 2, 3, .infinity]), "row 1, column 1 is inf, which is not finite"),
      (npy([0, 3], []), "has no rows"), (npy([2, 1], [1, 2]), "too few for 1 target and an input"),
      (npy([1, 1, 2], [1, 2]), "has the shape [1, 1, 2], where rows are [m, n]"),
      (npy([3, 2], [1, 2, 3, 4]), "is too short"), (npy([1, 2], [1, 2, 3]), "continues after"),
      (Make.npy([1, 2], doubles([1, 2]), type: "<c4"), "holds <c4, where rows are numbers"),
      (Array("text".utf8), "is too short"),
    ] {
      try files.write("x.npy", bytes)
      expect(message, file: "x.npy") { try load("rows:\(files.path)/x.npy") }
    }
    var archive = Make.zip([("x.npy", npy([1, 1], [1])), ("y.npy", npy([1], [2]))], deflated: false)
    let second = doubles([2])
    let found = archive.indices.first { archive[$0...].starts(with: second) }
    let place = try #require(found)
    archive[place + 7] ^= 1
    try files.write("x.npz", archive)
    expect("is damaged", file: "x.npz") { try load("rows:\(files.path)/x.npz") }
  }

  @Test func aMissingFileIsNamed() {
    expect("cannot be read", file: "nothing.csv") { try load("rows:\(files.path)/nothing.csv") }
  }

  // MARK: - Sets

  @Test func rowsAreSkippedLimitedAndShuffled() throws {
    let text = "a,b\n" + (0..<10).map { "\($0),\(10 * $0)\n" }.joined()
    #expect(all(try csv(text, "?skip=3&limit=2")).inputs == [[3], [4]])
    let shuffled = all(try csv(text, "?shuffle=1")).inputs
    #expect(
      shuffled != (0..<10).map { [Double($0)] }
        && shuffled.flatMap { $0 }.sorted() == (0..<10).map { Double($0) })
    let error = #expect(throws: DatasetError.self) { try csv(text, "?skip=10") }
    #expect(error?.description.contains("leaves none of 10 rows") == true)
    let rows = try csv(text)
    #expect(all(rows.subset([4, 2]).subset([1, 1, 0])).targets == [[20], [20], [40]])
  }

  @Test func chunksAreCopied() throws {
    let rows = try csv("a,b,c\n1,2,3\n4,5,6\n7,8,9\n").subset([2, 0, 1])
    let (x, y) = (
      UnsafeMutablePointer<Double>.allocate(capacity: 4), UnsafeMutablePointer<Double>.allocate(capacity: 2)
    )
    defer {
      x.deallocate()
      y.deallocate()
    }
    rows.copy(
      1..<3, inputs: DoubleMatrix(x, rows: 2, columns: 2), targets: DoubleMatrix(y, rows: 2, columns: 1))
    #expect((0..<4).map { x[$0] } == [1, 2, 4, 5] && (0..<2).map { y[$0] } == [3, 6])
  }

  // MARK: - Generated rows

  @Test func generatedRowsFollowTheirSettings() throws {
    let (count, seed) = (4000, 5)
    let rows = try load("regression:\(count)?inputs=3&targets=2&scale=0.5&noise=0.25&spread=4&seed=\(seed)")
    #expect(rows.count == count && rows.inputCount == 3 && rows.targetCount == 2)
    let deviations = (0..<3).map { input in
      ((0..<count).reduce(0.0) { $0 + pow(Array(rows.inputs(of: $1))[input], 2) } / Double(count))
        .squareRoot()
    }
    for (deviation, expected) in zip(deviations, [0.5, 1.25, 2]) {
      #expect(abs(deviation / expected - 1) < 0.06, "seed \(seed)")
    }
    // What least squares leaves is the noise.
    let statistics = RowStatistics(rows, workers: Workers(1))
    let map = DoubleBox(2, 3)
    map.matrix.set(try #require(statistics.leastSquares()))
    let gradient = DoubleBox(2, 3)
    let loss = statistics.residuals(of: map.matrix, into: gradient.matrix)
    #expect(abs((loss / Double(count)).squareRoot() / 0.25 - 1) < 0.05, "seed \(seed)")
    // The test stream has the same map and other rows.
    let test = try load(
      "regression:\(count)?inputs=3&targets=2&scale=0.5&noise=0.25&spread=4&seed=\(seed)", role: .test)
    #expect(Array(test.inputs(of: 0)) != Array(rows.inputs(of: 0)))
    let left = RowStatistics(test, workers: Workers(1)).residuals(of: map.matrix, into: gradient.matrix)
    #expect(abs((left / Double(count)).squareRoot() / 0.25 - 1) < 0.05, "seed \(seed)")
    // A row does not depend on the number of rows.
    let fewer = try load("regression:7?inputs=3&targets=2&scale=0.5&noise=0.25&spread=4&seed=\(seed)")
    #expect(Array(fewer.targets(of: 6)) == Array(rows.targets(of: 6)))
  }

  @Test(arguments: [
    "regression:0", "regression:10?inputs=0", "regression:10?noise=-1", "regression:10?spread=0.5",
    "regression:10?scale=x", "regression:10?colour=3", "rows:x.csv?split=half",
  ])
  func wrongSpecificationsAreRejected(spec: String) {
    #expect(throws: DatasetError.self) { try DataSpec(parsing: spec) }
  }
}
