import Support

/// Labels of nodes in a text file: numbers or names, one a line in the order of the nodes, or lines of a node and its
/// label. An empty label, NaN and -1 stand for none.
struct LabelText {
  private let path: String
  /// The distinct texts, in the order of their first lines.
  private var texts: [String] = []
  /// The index in `texts` of each line's label.
  private var labels: [Int32] = []
  /// The nodes' texts and the numbers of their lines, if lines have two columns.
  private var nodes: [(text: Int?, line: Int)]?

  /// The maximum length of a name in bytes.
  private static let longestName = 1000
  /// Names of a column of labels.
  private static let headers: Set = ["label", "labels", "class", "target", "y", "category", "subject"]

  /// Reads the lines. Throws a ``DatasetError`` that names the line.
  init(opening path: String) throws(DatasetError) {
    self.path = path
    let lines = try TextLines(opening: path)
    var known: [String: Int32] = [:]
    while let line = try lines.next() {
      guard line.first != UInt8(ascii: "#") else { continue }
      let fields = Self.fields(line)
      if labels.isEmpty, fields.count == 2 { nodes = [] }
      guard fields.count == (nodes == nil ? 1 : 2) || (nodes != nil && fields == [""]) else {
        throw lines.damage(
          "has \(counted(fields.count, "column")), where lines are a label, or a node and its label")
      }
      if nodes != nil {
        guard fields.count == 2 else { continue }
        nodes?.append((Int(fields[0]), lines.number))
      }
      let text = fields[fields.count - 1]
      guard text.utf8.count <= Self.longestName, known.count < GraphTables.Labels.mostClasses else {
        throw lines.damage("has a name that is too long, or too many classes")
      }
      let label = known[text] ?? Int32(texts.count)
      if known.updateValue(label, forKey: text) == nil { texts.append(text) }
      labels.append(label)
    }
  }

  /// Splits a line at commas, semicolons and tabs outside of quotation marks, or into two whole numbers at a blank.
  private static func fields(_ line: TextLines.Text) -> [String] {
    var (fields, isQuoted): ([[UInt8]], Bool) = ([[]], false)
    for byte in line {
      switch byte {
      case UInt8(ascii: "\""): isQuoted.toggle()
      case UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: "\t"):
        if isQuoted { fields[fields.count - 1].append(byte) } else { fields.append([]) }
      default: fields[fields.count - 1].append(byte)
      }
    }
    let texts = fields.map { field in
      let blank = UInt8(ascii: " ")
      let end = field.lastIndex { $0 != blank }.map { $0 + 1 } ?? 0
      return String(decoding: field[..<end].drop { $0 == blank }, as: UTF8.self)
    }
    guard texts.count == 1 else { return texts }
    let words = texts[0].split(separator: " ").map(String.init)
    return words.count == 2 && words.allSatisfy { Int($0) != nil } ? words : texts
  }

  /// Returns the labels of all nodes. Throws a ``DatasetError`` if there are too few or too many.
  consuming func labels(nodes count: Int) throws(DatasetError) -> GraphTables.Labels {
    if nodes != nil { return try named(try assigned(count)) }
    if hasHeader(count) { labels.removeFirst() }
    while labels.count > count, let last = labels.last, texts[Int(last)].isEmpty { labels.removeLast() }
    guard labels.count == count else {
      throw .malformed(path: path, problem: "has \(counted(labels.count, "label")) for \(count) nodes")
    }
    return try named(labels)
  }

  /// Whether the first of one more line than there are nodes is a header.
  private func hasHeader(_ count: Int) -> Bool {
    guard labels.count > count, let first = labels.first, let last = labels.last else { return false }
    let text = texts[Int(first)]
    guard !text.isEmpty, Int(text) == nil, !labels.dropFirst().contains(first) else { return false }
    let isAlone = texts.allSatisfy { $0 == text || $0.isEmpty || Double($0) != nil }
    return !texts[Int(last)].isEmpty || isAlone || Self.headers.contains(text.lowercased())
  }

  /// Returns the label of each node, from lines of a node and its label.
  private func assigned(_ count: Int) throws(DatasetError) -> [Int32] {
    var assigned = [Int32](repeating: -1, count: count)
    for (index, (node, line)) in (nodes ?? []).enumerated() {
      if index == 0, node == nil { continue }
      guard let node, (0..<count).contains(node), assigned[node] < 0 else {
        let problem = node.map {
          (0..<count).contains($0) ? "a second label of the node \($0)" : "the node \($0)"
        }
        throw .malformed(
          path: path,
          problem: "line \(line) has \(problem ?? "no node"), where nodes are 0 to \(count - 1), each once")
      }
      assigned[node] = labels[index]
    }
    return assigned
  }

  /// Interprets the texts: whole numbers are classes, and other texts are the names of classes in their order.
  private func named(_ labels: [Int32]) throws(DatasetError) -> GraphTables.Labels {
    var isUsed = [Bool](repeating: false, count: texts.count)
    for label in labels where label >= 0 { isUsed[Int(label)] = true }
    let values = texts.map { Double($0) }
    let used = texts.indices.filter { index in
      isUsed[index] && !texts[index].isEmpty && !(values[index].map { $0.isNaN || $0 == -1 } ?? false)
    }
    let numbers = used.compactMap { index in values[index].flatMap { Int(exactly: $0) } }
    var classes = [Int](repeating: NodeSet.unlabelled, count: texts.count)
    guard numbers.count < used.count else {
      for (index, number) in zip(used, numbers) {
        guard (0..<GraphTables.Labels.mostClasses).contains(number) else {
          throw .malformed(
            path: path,
            problem:
              "has the label \(number), where labels are 0 to \(GraphTables.Labels.mostClasses - 1), and "
              + "-1 for none")
        }
        classes[index] = number
      }
      return result(labels, classes, count: (numbers.max() ?? -1) + 1, names: nil)
    }
    let names = used.map { texts[$0] }.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    let places = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, $0) })
    for index in used { classes[index] = places[texts[index]] ?? NodeSet.unlabelled }
    return result(labels, classes, count: names.count, names: names)
  }

  private func result(_ labels: [Int32], _ classes: [Int], count: Int, names: [String]?) -> GraphTables.Labels
  {
    GraphTables.Labels(
      values: labels.map { $0 < 0 ? NodeSet.unlabelled : classes[Int($0)] }, classes: count, names: names)
  }
}
