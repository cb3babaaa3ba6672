import Federation
import Foundation
import Testing

@Suite struct PlanDocsTests {
  /// The repository, above Tests/FederationTests/Plan.
  private static let root = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  private static let page = root.appending(path: "docs/plans.md")

  @Test func documentsEveryFieldAndNoOther() throws {
    let text = try String(contentsOf: Self.page, encoding: .utf8)
    let rows = text.split(separator: "\n").filter { $0.hasPrefix("| `") }.map(String.init)
    let fields = PlanField.all.map {
      "| `\($0.path)` | \($0.type) | \($0.unit) | \($0.standard) | \($0.meaning) |"
    }
    for missing in Set(fields).subtracting(rows).sorted() { Issue.record("docs/plans.md lacks\n\(missing)") }
    for other in Set(rows).subtracting(fields).sorted() { Issue.record("no such field:\n\(other)") }
    #expect(rows == fields, "in the table's order")
  }

  /// The fenced YAML of the page; the full example contains every field, except those of a classification and its cascade.
  @Test func showsExamplesThatAreTaken() throws {
    let text = try String(contentsOf: Self.page, encoding: .utf8)
    let examples = text.components(separatedBy: "```yaml\n").dropFirst()
      .compactMap { $0.components(separatedBy: "```").first }
    #expect(examples.count == 10)
    for example in examples { #expect(complaints(example) == []) }
    let full = examples.joined()
    for field in PlanField.all {
      let key = field.path.split(separator: ".").last.map(String.init) ?? ""
      #expect(full.contains("\(key):"), "the examples lack \(field.path)")
    }
  }

  /// As the example states, every field with a default has it.
  @Test func theFullExampleIsThePlanThatLeavesEverythingOut() throws {
    let text = try String(contentsOf: Self.page, encoding: .utf8)
    let example = try #require(
      text.components(separatedBy: "```yaml\n").last?.components(separatedBy: "```").first)
    var full = try Plan(yaml: example, file: "full")
    let empty = try Plan(
      yaml: "encoder: {image: 32, patch: 4, width: 192, depth: 12, heads: 3}", file: "empty")
    // These are examples: a name, and sections that are off if omitted.
    #expect(full.method.calibration == Plan.Calibration(data: "shapes:512"))
    #expect(full.method.regularisers.count == RegulariserSections.all.count)
    (full.name, full.method.calibration, full.method.regularisers) = (empty.name, nil, RegulariserSections())
    #expect(full == empty)
    // Every field has a unit, unless it is a word, a share or a file.
    for field in PlanField.all where field.type.hasPrefix("integer") && field.path != "seed" {
      #expect(!field.unit.isEmpty, "\(field.path) counts nothing")
    }
  }

  @Test func readsEveryPlanInDeploy() throws {
    let folder = Self.root.appending(path: "deploy/plans")
    let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
      .filter { $0.pathExtension == "yaml" }
    #expect(files.count >= 4)
    for file in files {
      let text = try String(contentsOf: file, encoding: .utf8)
      let plan = try Plan(yaml: text, file: file.lastPathComponent)
      #expect(plan.name == file.deletingPathExtension().lastPathComponent)
      #expect(try Plan(yaml: plan.yaml(), file: "written") == plan)
    }
  }
}
