import Datasets
import Foundation
import Testing

/// The specifications in docs/data.md are valid and include every kind.
@Suite struct DataDocsTests {
  @Test func everyExampleIsUnderstoodAndEveryKindHasOne() throws {
    var root = URL(fileURLWithPath: #filePath)
    for _ in 0..<3 { root.deleteLastPathComponent() }
    let text = try String(contentsOf: root.appendingPathComponent("docs/data.md"), encoding: .utf8)
    let rows = text.split(separator: "\n").compactMap { $0.wholeMatch(of: /\| `([^`]+)` \|.*/)?.1 }
    let examples = rows + text.matches(of: /--data '?([^' \n]+)/).map(\.1)
    #expect(examples.count >= 16)
    var kinds: Set<Substring> = []
    for example in examples {
      kinds.insert(example.prefix { $0 != ":" })
      #expect(throws: Never.self, "\(example)") { try DataSpec(parsing: String(example)) }
    }
    let accepted = DataSpec.accepted.split(separator: ", ").map { $0.prefix { $0 != ":" } }.filter {
      !$0.hasPrefix("each")
    }
    #expect(kinds == Set(accepted) && kinds.count == 12)
    // The options in the table, with values as documented.
    for (kind, option) in [("folder", "cache=64MB"), ("stl10", "split=unlabelled"), ("npz", "labels=none")] {
      #expect(text.contains("`\(option)`") || text.contains(option))
      #expect(throws: Never.self) { try DataSpec(parsing: "\(kind):x?\(option)") }
    }
  }
}
