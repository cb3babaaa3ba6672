import Foundation

/// Returns a number and the noun it counts: 1 client, 2 clients.
package func counted(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

extension String {
  /// Whether it sorts before another in natural order, which compares embedded numbers by value: device-2 before
  /// device-10. The order is total and independent of the locale.
  package func precedesNaturally(_ other: String) -> Bool {
    var (left, right) = (self.utf8[...], other.utf8[...])
    while let a = left.first, let b = right.first {
      if Self.isDigit(a), Self.isDigit(b) {
        let (one, two) = (Self.takeNumber(&left), Self.takeNumber(&right))
        // Without leading zeros, the longer number is greater.
        if one.count != two.count { return one.count < two.count }
        if !one.elementsEqual(two) { return one.lexicographicallyPrecedes(two) }
      } else {
        if a != b { return a < b }
        left.removeFirst()
        right.removeFirst()
      }
    }
    if left.isEmpty != right.isEmpty { return left.isEmpty }
    // They are equal, or differ only in leading zeros.
    return utf8.lexicographicallyPrecedes(other.utf8)
  }

  private static func isDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
  }

  /// Removes and returns the number at the start of a text, without its leading zeros.
  private static func takeNumber(_ text: inout Substring.UTF8View) -> Substring.UTF8View {
    let digits = text.prefix(while: isDigit)
    text = text.dropFirst(digits.count)
    return digits.drop { $0 == UInt8(ascii: "0") }
  }
}

/// Suggestions for misspelled words.
package enum Spelling {
  /// Returns the candidate whose name is spelled nearest to a word; nil if none is near. `name` returns the part of a
  /// candidate to compare.
  package static func nearest(
    to word: String, among candidates: [String], by name: (String) -> String = { $0 }
  ) -> String? {
    let word = shortened(word)
    // Names may come from files, which may contain a large number of long names.
    let nearest = candidates.prefix(1000).filter { name($0).utf8.count <= 200 }.map {
      ($0, distance(word, name($0)))
    }.min { $0.1 < $1.1 }
    return nearest.flatMap { $0.1 <= max(1, word.count / 3) ? $0.0 : nil }
  }

  /// Truncates a word for a message; no known word is that long.
  package static func shortened(_ word: String) -> String {
    ForeignText(word, limit: 41).description
  }

  /// Returns a text on one line, with terminal control characters escaped.
  package static func harmless(_ text: String) -> String { ForeignText(text, limit: .max).description }

  /// Returns the number of insertions, deletions, substitutions and transpositions of adjacent letters between two
  /// words, ignoring case.
  private static func distance(_ one: String, _ other: String) -> Int {
    let (one, other) = (Array(one.lowercased()), Array(other.lowercased()))
    // rows[i][j] is the distance between the first i letters of one and the first j of the other.
    var rows = [Array(0...other.count)]
    for i in 0..<one.count {
      var row = [i + 1]
      for j in 0..<other.count {
        var least = min(rows[i][j] + (one[i] == other[j] ? 0 : 1), rows[i][j + 1] + 1, row[j] + 1)
        if i > 0, j > 0, one[i] == other[j - 1], one[i - 1] == other[j] {
          least = min(least, rows[i - 1][j - 1] + 1)
        }
        row.append(least)
      }
      rows.append(row)
    }
    return rows[one.count][other.count]
  }
}

extension Character {
  /// Whether it contains control characters, which could disturb a terminal or a log.
  package var isControl: Bool { unicodeScalars.contains { $0.properties.generalCategory == .control } }
}

extension Error {
  /// The system's description of why a file or folder cannot be used, such as `Permission denied`. Foundation's
  /// description names neither the cause nor the file.
  package var systemWords: String {
    guard let number = Self.number(of: self as NSError) else {
      return self is CocoaError ? localizedDescription : "\(self)"
    }
    return String(cString: strerror(number))
  }

  private static func number(of error: NSError) -> Int32? {
    if error.domain == NSPOSIXErrorDomain { return Int32(exactly: error.code) }
    if let cause = error.userInfo[NSUnderlyingErrorKey] as? NSError { return number(of: cause) }
    guard error.domain == NSCocoaErrorDomain else { return nil }
    return switch CocoaError.Code(rawValue: error.code) {
    case .fileNoSuchFile, .fileReadNoSuchFile: ENOENT
    case .fileReadNoPermission, .fileWriteNoPermission: EACCES
    case .fileWriteFileExists: EEXIST
    case .fileWriteOutOfSpace: ENOSPC
    case .fileWriteVolumeReadOnly: EROFS
    case .fileReadInvalidFileName, .fileWriteInvalidFileName: ENAMETOOLONG
    default: nil
    }
  }
}
