import Foundation
import Testing

#if canImport(FoundationXML)
  import FoundationXML
#endif

/// The elements of a document that a parser has found in order.
final class MarkupCheck: NSObject, XMLParserDelegate {
  private(set) var elements: [(name: String, attributes: [String: String])] = []
  private(set) var text = ""
  private var problem: String?

  /// Parses a document, which must be well-formed.
  static func parse(_ document: String) throws -> MarkupCheck {
    let check = MarkupCheck()
    let parser = XMLParser(data: Data(document.utf8))
    parser.delegate = check
    let isWhole = parser.parse()
    #expect(isWhole && check.problem == nil, "line \(parser.lineNumber): \(check.problem ?? "")")
    return check
  }

  func count(_ name: String) -> Int { elements.count { $0.name == name } }

  func parser(
    _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
    attributes: [String: String]
  ) { elements.append((name, attributes)) }

  func parser(_ parser: XMLParser, foundCharacters string: String) { text += string }
  func parser(_ parser: XMLParser, parseErrorOccurred error: any Error) { problem = "\(error)" }
}
