import Foundation
import Testing

/// The code in docs/extending.md is that of the examples, which the tests of this folder run.
@Suite struct ExtendingDocsTests {
  private let blocks: [String]
  /// The texts of the examples, by the names of their files.
  private let examples: [String: String]

  init() throws {
    let folder = URL(filePath: #filePath).deletingLastPathComponent()
    let root = folder.deletingLastPathComponent().deletingLastPathComponent()
    let page = try String(contentsOf: root.appending(path: "docs/extending.md"), encoding: .utf8)
    blocks = page.components(separatedBy: "\n```swift\n").dropFirst().compactMap {
      $0.components(separatedBy: "\n```\n").first
    }
    var examples: [String: String] = [:]
    for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    where file.lastPathComponent.hasSuffix("Example.swift") {
      examples[file.lastPathComponent] = try String(contentsOf: file, encoding: .utf8)
    }
    self.examples = examples
  }

  @Test func everyBlockIsPartOfAnExample() {
    #expect(blocks.count >= 5)
    for block in blocks {
      #expect(examples.values.contains { $0.contains("\(block)\n") }, "no example has\n\(block)")
    }
  }

  @Test func everyExampleIsQuoted() {
    #expect(
      examples.keys.sorted() == [
        "CurriculumExample.swift", "EncoderExample.swift", "MetricExample.swift", "ObjectiveExample.swift",
        "RegulariserExample.swift",
      ])
    for (name, text) in examples {
      #expect(blocks.contains { text.contains("\($0)\n") }, "the page shows nothing of \(name)")
    }
  }
}
