import Foundation

#if canImport(FoundationXML)
  import FoundationXML
#endif

/// The elements of a parsed document in order.
package final class MarkupCheck: NSObject, XMLParserDelegate {
  /// The elements in the order of their start tags.
  package private(set) var elements: [(name: String, attributes: [String: String])] = []
  /// The text between the tags.
  package private(set) var text = ""
  private var problem: String?

  /// The error of a document that is not well-formed.
  package struct Malformed: Error {
    package let line: Int
    package let problem: String
  }

  /// Parses a document. Throws ``Malformed``.
  package static func parse(_ document: String) throws -> MarkupCheck {
    let check = MarkupCheck()
    let parser = XMLParser(data: Data(document.utf8))
    parser.delegate = check
    let isWhole = parser.parse()
    guard isWhole, check.problem == nil else {
      throw Malformed(line: parser.lineNumber, problem: check.problem ?? "")
    }
    return check
  }

  /// Returns the number of elements with a name.
  package func count(_ name: String) -> Int { elements.count { $0.name == name } }

  /// A requirement of XMLParserDelegate.
  package func parser(
    _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
    attributes: [String: String]
  ) { elements.append((name, attributes)) }

  /// A requirement of XMLParserDelegate.
  package func parser(_ parser: XMLParser, foundCharacters string: String) { text += string }
  /// A requirement of XMLParserDelegate.
  package func parser(_ parser: XMLParser, parseErrorOccurred error: any Error) { problem = "\(error)" }
}
