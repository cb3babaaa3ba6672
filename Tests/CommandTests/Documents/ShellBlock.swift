/// A block of shell commands, as far as a test needs to parse it; the shell runs them.
enum ShellBlock {
  /// A command with all its lines.
  struct Statement: Sendable, CustomStringConvertible {
    let text: String
    /// The first line, in the document.
    let line: Int

    var description: String { text }
    /// The simple commands, without sudo.
    var commands: [[String]] {
      ShellBlock.commands(text).map { $0.first == "sudo" ? Array($0.dropFirst()) : $0 }
    }
  }

  /// Returns the statements of a block that starts after a line. Handles lines that end in a backslash and
  /// here-documents; the documents use no other multi-line statements.
  static func statements(_ text: String, after line: Int) -> [Statement] {
    var statements: [Statement] = []
    var open: (text: String, line: Int, end: String?)?
    for (index, next) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      let whole = open.map { $0.text + "\n" + next } ?? String(next)
      let first = open?.line ?? line + 1 + index
      if let end = open?.end {
        guard next == end else {
          open?.text = whole
          continue
        }
        statements.append(Statement(text: whole, line: first))
        open = nil
      } else if next.hasSuffix("\\") {
        open = (whole, first, nil)
      } else if let match = whole.firstMatch(of: /<<'?(\w+)'?/) {
        open = (whole, first, String(match.1))
      } else {
        open = nil
        let isEmpty = whole.allSatisfy(\.isWhitespace) || whole.first { $0 != " " } == "#"
        if !isEmpty { statements.append(Statement(text: whole, line: first)) }
      }
    }
    return statements
  }

  /// Returns the simple commands of a statement as words, without quotes, comments and redirections.
  static func commands(_ statement: String) -> [[String]] {
    var commands: [[String]] = [[]]
    var skipsNext = false
    for word in words(statement) {
      switch word {
      case .operator(let sign) where sign.contains(where: { "<>".contains($0) }):
        skipsNext = true
        if sign.hasPrefix("<<") { return commands.filter { !$0.isEmpty } }
      case .operator: commands.append([])
      case .word(let text):
        if !skipsNext { commands[commands.count - 1].append(text) }
        skipsNext = false
      }
    }
    return commands.filter { !$0.isEmpty }
  }

  private enum Word {
    case word(String)
    case `operator`(String)
  }

  private static func words(_ text: String) -> [Word] {
    var (words, word, isWord, quote): ([Word], String, Bool, Character?) = ([], "", false, nil)
    func flush() {
      if isWord { words.append(.word(word)) }
      (word, isWord) = ("", false)
    }
    var rest = Substring(text.replacing("\\\n", with: " "))
    while let sign = rest.popFirst() {
      if let open = quote {
        if sign == open { quote = nil } else { word.append(sign) }
      } else if sign == "'" || sign == "\"" {
        (quote, isWord) = (sign, true)
      } else if sign == "#" && !isWord {
        rest = rest.drop { $0 != "\n" }
      } else if "|&;<>".contains(sign) {
        flush()
        let more = rest.prefix { $0 == sign }
        rest = rest.dropFirst(more.count)
        words.append(.operator(String(sign) + more))
      } else if sign.isWhitespace {
        flush()
        if sign.isNewline { words.append(.operator(";")) }
      } else {
        word.append(sign)
        isWord = true
      }
    }
    flush()
    return words
  }
}
