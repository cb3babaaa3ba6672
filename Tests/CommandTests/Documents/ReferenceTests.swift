import Federation
import Foundation
import Testing

/// The files and names that a document refers to exist.
@Suite struct ReferenceTests {
  @Test(arguments: Repository.documents)
  func itsLinksLeadSomewhere(path: String) throws {
    let document = try Markdown(path)
    let folder = URL(fileURLWithPath: path, relativeTo: Repository.root).deletingLastPathComponent()
    for link in document.links where !link.text.contains("://") {
      let parts = link.text.split(separator: "#", omittingEmptySubsequences: false)
      let file = parts[0].isEmpty ? path : URL(fileURLWithPath: String(parts[0]), relativeTo: folder).path
      let relative = file.replacing(Repository.root.path + "/", with: "")
      try #require(Repository.holds(relative), "\(path):\(link.line): \(link.text)")
      guard parts.count == 2, relative.hasSuffix(".md") else { continue }
      let anchors = try Markdown(relative).headings.map(Markdown.anchor)
      #expect(anchors.contains(String(parts[1])), "\(path):\(link.line): \(link.text)")
    }
  }

  @Test(arguments: Repository.documents)
  func theFilesOfTheRepositoryThatItNamesAreThere(path: String) throws {
    for span in try Markdown(path).spans {
      guard let match = span.text.wholeMatch(of: /((?:Sources|Tests|deploy|docs)\/[^ *]+?)\/?/) else {
        continue
      }
      let name = String(match.1)
      #expect(Repository.holds(name) || Repository.holds(name + ".swift"), "\(path):\(span.line): \(name)")
    }
  }

  @Test(arguments: Repository.documents)
  func theTargetsOfMakeThatItNamesAreThere(path: String) throws {
    let targets = try Repository.text("Makefile").matches(of: /(?m)^([a-z]+):.*##/).map { $0.1 }
    let spans = try Markdown(path).spans.map(\.text)
    let shown = try Markdown(path).blocks.filter { $0.language == "sh" }.map(\.text)
    for text in spans + shown {
      for match in text.matches(of: /(?m)^(?:[A-Z_]+=\S+ |sudo )*make ([a-z]+)/) {
        #expect(targets.contains(match.1), "\(path): make \(match.1)")
      }
    }
  }

  /// Complete plans, parts of plans, and fields within sentences.
  @Test(arguments: Repository.documents)
  func itsPlansAreTaken(path: String) throws {
    let document = try Markdown(path)
    for block in document.blocks where block.language == "yaml" && !block.text.contains("apiVersion:") {
      let problem = Plan.problem(with: block.text, file: path)
      #expect(problem == nil, "\(path):\(block.line)")
    }
    let fields = Set(PlanField.all.map(\.path))
    let sections = Set(fields.compactMap { $0.split(separator: ".").dropLast().first })
    for span in document.spans {
      if let match = span.text.wholeMatch(of: /([a-z]+)\.([a-zA-Z.]+)(: \S+)?/), sections.contains(match.1),
        !["safetensors", "onnx"].contains(match.2)
      {
        let field = "\(match.1).\(match.2)"
        let isKnown = fields.contains(field) || fields.contains { $0.hasPrefix(field + ".") }
        #expect(isKnown, "\(path):\(span.line): \(span.text)")
      } else if let match = span.text.wholeMatch(of: /([a-z]+): \{.*\}/), sections.contains(match.1) {
        let problem = Plan.problem(with: span.text, file: path)
        #expect(problem == nil, "\(path):\(span.line): \(span.text)")
      }
    }
  }

  /// Except docs/protocol.md, whose examples omit long parts and are compared with the messages (ProtocolDocsTests).
  @Test(arguments: Repository.documents.filter { $0 != "docs/protocol.md" })
  func itsJSONIsJSON(path: String) throws {
    for block in try Markdown(path).blocks where block.language == "json" {
      #expect(throws: Never.self, "\(path):\(block.line)") {
        try JSONSerialization.jsonObject(with: Data(block.text.utf8), options: [.fragmentsAllowed])
      }
    }
  }
}
