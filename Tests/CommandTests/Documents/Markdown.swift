import Foundation
import Testing

/// A document in Markdown, as far as it can be wrong: what it shows, names and links to.
struct Markdown: Sendable, CustomTestStringConvertible {
  /// What stands between two fences.
  struct Block: Sendable {
    /// The word behind the opening fence; empty where there is none.
    let language: String
    let text: String
    /// The line of the opening fence, from 1.
    let line: Int
    /// The heading of the second level that it stands under.
    let section: String
  }

  /// What a test does at a place in a document, which readers do not see: `<!-- await fedserver: words of its log -->`,
  /// `<!-- stop fedserver -->` or `<!-- cut fedserver -->`.
  struct Direction: Sendable {
    let verb: String
    let daemon: String
    let words: String
    /// The heading of the second level that it stands under.
    var section = ""
  }

  enum Part: Sendable {
    case block(Block)
    case direction(Direction)

    var section: String {
      switch self {
      case .block(let block): block.section
      case .direction(let direction): direction.section
      }
    }
  }

  /// A piece of a line that names something.
  struct Mention: Sendable {
    let text: String
    let line: Int
  }

  /// From the repository's root.
  let path: String
  /// Blocks and directions in their order.
  private(set) var parts: [Part] = []
  /// What stands in backticks within the prose.
  private(set) var spans: [Mention] = []
  /// Where links lead, pictures among them.
  private(set) var links: [Mention] = []
  private(set) var headings: [String] = []
  private var section = ""

  var testDescription: String { path }

  var blocks: [Block] {
    parts.compactMap { if case .block(let block) = $0 { block } else { nil } }
  }

  struct OpenFence: Error {
    let path: String
    let line: Int
  }

  init(_ path: String) throws { try self.init(path, text: try Repository.text(path)) }

  init(_ path: String, text: String) throws {
    self.path = path
    var open: (language: String, line: Int, text: String)?
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      if let fence = line.prefixMatch(of: /\s*```/) {
        if let block = open {
          parts.append(
            .block(Block(language: block.language, text: block.text, line: block.line, section: section)))
          open = nil
        } else {
          open = (line[fence.range.upperBound...].trimmingCharacters(in: .whitespaces), index + 1, "")
        }
      } else if open != nil {
        open?.text += line + "\n"
      } else {
        readProse(line, index + 1)
      }
    }
    if let open { throw OpenFence(path: path, line: open.line) }
  }

  private mutating func readProse(_ line: Substring, _ number: Int) {
    if let match = line.wholeMatch(of: /<!-- (await|stop|cut) (\w+)(?:: (.*))? -->/) {
      let words = match.3.map { String($0) } ?? ""
      parts.append(
        .direction(
          Direction(
            verb: String(match.1), daemon: String(match.2), words: words, section: section)))
    }
    if line.hasPrefix("## ") { section = String(line.dropFirst(3)) }
    if line.hasPrefix("#") { headings.append(line.drop { $0 == "#" || $0 == " " }.description) }
    spans += line.matches(of: /`([^`]+)`/).map { Mention(text: String($0.1), line: number) }
    let prose = line.replacing(/`[^`]+`/, with: "")
    links += prose.matches(of: /\]\(([^)\s]+)\)/).map { Mention(text: String($0.1), line: number) }
  }

  /// A heading's name in a link, as GitHub makes it.
  static func anchor(_ heading: String) -> String {
    heading.lowercased().filter { $0.isLetter || $0.isNumber || " -_".contains($0) }.replacing(" ", with: "-")
  }
}
