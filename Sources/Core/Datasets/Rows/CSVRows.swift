import Support

/// Rows in a text file of separated values with a header (RFC 4180), gzipped or not. Commas, semicolons or tabs separate
/// the fields, whichever the header has most of.
enum CSVRows {
  /// Reads a file. Throws a ``DatasetError`` that names the line, and the column with its name.
  static func read(_ path: String, _ options: RowOptions, limit: Int?) throws(DatasetError) -> FeatureRows {
    let lines = try TextLines(opening: path)
    guard let header = try lines.next() else { throw .malformed(path: path, problem: "is empty") }
    let separator = separator(of: header)
    let names = try fields(of: header, separator, lines).map {
      String(decoding: $0, as: UTF8.self).replacing("\"\"", with: "\"")
    }
    try check(names, lines)
    let (inputs, targets) = try columns(names, options, lines)
    var table = Table(names: names, inputs: inputs, targets: targets)
    while table.rows < limit ?? .max, let line = try lines.next() {
      // An empty last line is no row.
      guard !line.isEmpty || names.count == 1 else { continue }
      try table.append(try fields(of: line, separator, lines), lines)
    }
    guard table.rows > 0 else { throw .malformed(path: path, problem: "has no rows after its header") }
    return FeatureRows(
      inputs: table.inputValues, count: inputs.count, inputNames: inputs.map { names[$0] },
      targets: table.targetValues, count: targets.count, targetNames: targets.map { names[$0] })
  }

  /// The numbers of the chosen columns.
  private struct Table {
    let names: [String]
    let inputs, targets: [Int]
    private(set) var rows = 0
    private(set) var inputValues: [Double] = []
    private(set) var targetValues: [Double] = []

    init(names: [String], inputs: [Int], targets: [Int]) {
      (self.names, self.inputs, self.targets) = (names, inputs, targets)
    }

    mutating func append(_ fields: [TextLines.Text], _ lines: TextLines) throws(DatasetError) {
      guard fields.count == names.count else {
        throw lines.damage("has \(counted(fields.count, "field")), where the header has \(names.count)")
      }
      for column in inputs { inputValues.append(try number(fields[column], column, lines)) }
      for column in targets { targetValues.append(try number(fields[column], column, lines)) }
      rows += 1
      if rows % 1024 == 0 {
        try FeatureRows.requireMemory(
          (inputValues.count + targetValues.count) * MemoryLayout<Double>.stride, path: lines.path)
      }
    }

    private func number(
      _ field: TextLines.Text, _ column: Int, _ lines: TextLines
    ) throws(DatasetError) -> Double {
      guard let value = field.real, value.isFinite else {
        let place = "column \(column + 1) (\(Spelling.shortened(names[column])))"
        throw lines.damage(
          field.real == nil
            ? "has no number in \(place): it is \(field.shown)"
            : "has \(field.shown) in \(place), which is not finite")
      }
      return value
    }
  }

  private static func separator(of header: TextLines.Text) -> UInt8 {
    let candidates = [UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: "\t")]
    let counts = candidates.map { candidate in header.count { $0 == candidate } }
    return zip(candidates, counts).max { $0.1 < $1.1 }.flatMap { $0.1 > 0 ? $0.0 : nil } ?? candidates[0]
  }

  /// Throws unless the header has a different name for each column.
  private static func check(_ names: [String], _ lines: TextLines) throws(DatasetError) {
    guard names.contains(where: { Double($0) == nil }) else {
      throw lines.damage("has only numbers, where a header with the names of the columns is expected")
    }
    for (column, name) in names.enumerated() where names[..<column].contains(name) {
      throw lines.damage("has the name '\(Spelling.shortened(name))' twice in the header")
    }
  }

  /// Returns the columns of the inputs and of the targets.
  private static func columns(
    _ names: [String], _ options: RowOptions, _ lines: TextLines
  ) throws(DatasetError) -> (inputs: [Int], targets: [Int]) {
    func columns(_ list: String) throws(DatasetError) -> [Int] {
      var columns: [Int] = []
      for name in list.split(separator: ",", omittingEmptySubsequences: false) {
        guard let column = names.firstIndex(of: String(name)) else {
          let hint = Spelling.nearest(to: String(name), among: names).map { "; did you mean \($0)?" } ?? "."
          throw .malformed(
            path: lines.path,
            problem:
              "has no column '\(Spelling.shortened(String(name)))'\(hint) It has \(Spelling.shortened(names.joined(separator: ", ")))"
          )
        }
        columns.append(column)
      }
      return columns
    }
    let targets: [Int]
    switch options.targets {
    case .named(let list): targets = try columns(list)
    case .last(let count): targets = Array(names.indices.suffix(count))
    }
    let inputs =
      try options.inputs.map(columns) ?? names.indices.filter { !targets.contains($0) }
    guard !inputs.isEmpty, targets.count <= names.count, targets.count == Set(targets).count,
      inputs.count == Set(inputs).count
    else {
      throw .malformed(
        path: lines.path,
        problem: inputs.isEmpty
          ? "has \(counted(names.count, "column")), too few for \(counted(targets.count, "target")) and an input"
          : "has a column that the options name twice")
    }
    guard max(inputs.count, targets.count) <= FeatureRows.widest else {
      throw .malformed(
        path: lines.path,
        problem: "has \(names.count) columns, where a row has at most \(FeatureRows.widest) inputs or targets"
      )
    }
    if let column = inputs.first(where: targets.contains) {
      throw .malformed(
        path: lines.path,
        problem: "has the column '\(Spelling.shortened(names[column]))' as an input and a target")
    }
    return (inputs, targets)
  }

  /// Returns the fields of a line without blanks at their ends. A field in quotation marks may contain separators, and
  /// doubled quotation marks; it ends with its line, because no number has a line break.
  private static func fields(
    of line: TextLines.Text, _ separator: UInt8, _ lines: TextLines
  ) throws(DatasetError) -> [TextLines.Text] {
    let (quote, blank) = (UInt8(ascii: "\""), UInt8(ascii: " "))
    var (fields, place): ([TextLines.Text], Int) = ([], 0)
    while true {
      while place < line.count, line[place] == blank { place += 1 }
      let isQuoted = place < line.count && line[place] == quote
      let start = isQuoted ? place + 1 : place
      place = start
      func isDoubled(_ place: Int) -> Bool {
        isQuoted && line[place] == quote && place + 1 < line.count && line[place + 1] == quote
      }
      while place < line.count, line[place] != (isQuoted ? quote : separator) || isDoubled(place) {
        // A doubled quotation mark stands for one.
        place += isDoubled(place) ? 2 : 1
      }
      var end = place
      if isQuoted {
        guard place < line.count else {
          throw lines.damage("has a quotation mark in field \(fields.count + 1) that is not closed")
        }
        repeat { place += 1 } while place < line.count && line[place] == blank
        guard place == line.count || line[place] == separator else {
          throw lines.damage("has text behind the quotation mark of field \(fields.count + 1)")
        }
      } else {
        while end > start, line[end - 1] == blank { end -= 1 }
      }
      fields.append(TextLines.Text(rebasing: line[start..<end]))
      guard place < line.count else { return fields }
      place += 1
    }
  }
}
