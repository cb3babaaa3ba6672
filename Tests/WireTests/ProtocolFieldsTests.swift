import Engine
import Federation
import Foundation
import Testing
import Wire

/// docs/protocol.md describes every field of every message, and no other.
@Suite struct ProtocolFieldsTests {
  /// A section about messages: their names, and the examples of their heads.
  private struct Section {
    let messages: [String]
    let examples: [String]
    let text: String
  }

  private let sections: [Section]

  init() throws {
    var root = URL(fileURLWithPath: #filePath)
    for _ in 0..<3 { root.deleteLastPathComponent() }
    let text = try String(contentsOf: root.appendingPathComponent("docs/protocol.md"), encoding: .utf8)
    sections = text.components(separatedBy: "\n### ").dropFirst().map { section in
      let heading = section.prefix { $0 != "\n" }
      let blocks = section.components(separatedBy: "```json\n").dropFirst()
        .compactMap { $0.components(separatedBy: "```").first }
      // An object begins at the start of a line.
      let objects = blocks.flatMap { "\n\($0)".components(separatedBy: "\n{").dropFirst().map { "{" + $0 } }
      return Section(
        messages: heading.matches(of: /[a-z]+/).map { String($0.0) }.filter { $0 != "and" },
        examples: objects,
        text: section.components(separatedBy: "\n## ")[0])
    }
  }

  @Test func everyMessageHasASection() throws {
    var numbers = RandomNumbers(1)
    let names = (0..<RandomMessage.kinds).map { RandomMessage.make(kind: $0, &numbers).name }
    #expect(sections.flatMap(\.messages).sorted() == names.sorted())
  }

  @Test(arguments: 0..<RandomMessage.kinds)
  func everyFieldIsDescribed(kind: Int) throws {
    var numbers = RandomNumbers(2)
    var fields: Set<String> = []
    // The heads of pieces are not JSON; PieceHeadTests has their bytes.
    let pieces: [UInt8] = [5, 8]
    guard !pieces.contains(try RandomMessage.make(kind: kind, &numbers).frame().kind) else { return }
    // Repeated often enough that every optional field occurs.
    for _ in 0..<64 {
      let frame = try RandomMessage.make(kind: kind, &numbers).frame()
      fields.formUnion(Self.keys(try JSONSerialization.jsonObject(with: frame.head)))
    }
    // The fields of a key are described once, with the assignment.
    if fields.contains("key"), kind != 2 { fields.subtract(["stage", "round", "attempt"]) }
    let name = RandomMessage.make(kind: kind, &numbers).name
    let section = try #require(sections.first { $0.messages.contains(name) })
    let shown = Set(
      section.examples.enumerated()
        .filter { section.messages[min($0.offset, section.messages.count - 1)] == name }
        .flatMap { $0.element.matches(of: /"(\w+)":/).map { String($0.1) } })
    let known = fields.union(["stage", "round", "attempt"])
    #expect(shown.subtracting(fields.contains("key") ? known : fields) == [], "\(name) has no such fields")
    let named = Set(section.text.matches(of: /`(\w+)`/).map { String($0.1) })
    #expect(fields.subtracting(shown.union(named)) == [], "\(name) has more fields than are described")
  }

  @Test func theExamplesAreJSONButForWhatTheyLeaveOut() throws {
    for example in sections.flatMap(\.examples) {
      let whole = example.replacing("{…}", with: "{}").replacing(/,\s*…/, with: "")
      #expect(throws: Never.self, "\(example)") { try JSONSerialization.jsonObject(with: Data(whole.utf8)) }
    }
  }

  /// Returns the names at every depth except within the plan, which has a separate page.
  private static func keys(_ value: Any) -> Set<String> {
    if let list = value as? [Any] { return list.reduce(into: []) { $0.formUnion(keys($1)) } }
    guard let object = value as? [String: Any] else { return [] }
    return object.reduce(into: []) { all, field in
      all.insert(field.key)
      if field.key != "plan" { all.formUnion(keys(field.value)) }
    }
  }
}
