import Engine
import Support

/// The parts of a specification `KIND:ARGUMENT[?option=value&…]`; options are taken out one by one, and
/// what is left at the end is unknown. Where a file is called so, `??` is a `?` of the argument and `&&` a `&` of a value.
struct SpecificationOptions {
  let text: String
  let kind: String
  let argument: String
  private var values: [String: String] = [:]
  /// The options that were asked for: those that there are.
  private var known: [String] = []

  init(parsing text: String) throws(DatasetError) {
    self.text = text
    guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else {
      throw .badSpecification(text, problem: "not of the form KIND:ARGUMENT")
    }
    kind = String(text[..<colon])
    let rest = text[text.utf8.index(after: colon)...]
    let (first, options) = Self.cut(rest.utf8, at: UInt8(ascii: "?"))
    argument = first
    guard !argument.isEmpty else { throw .badSpecification(text, problem: "nothing after '\(kind):'") }
    var left = options
    while let given = left {
      let option: String
      (option, left) = Self.cut(given, at: UInt8(ascii: "&"))
      guard let sign = option.utf8.firstIndex(of: UInt8(ascii: "=")) else {
        let hint = option.contains("/") ? ", and a ? in a file's name is written ??" : ""
        throw .badSpecification(text, problem: "option '\(option)' is not of the form name=value\(hint)")
      }
      let name = String(option[..<sign])
      guard values.updateValue(String(option[option.utf8.index(after: sign)...]), forKey: name) == nil else {
        throw .badSpecification(text, problem: "option '\(name)' is given twice")
      }
    }
  }

  /// What stands before the first mark that is not doubled, doubled ones single, and what stands behind it, if it is
  /// there. A mark is a byte: letters may begin with a combining mark, which Swift would take as a part of it.
  private static func cut(_ text: Substring.UTF8View, at mark: UInt8) -> (String, Substring.UTF8View?) {
    var (first, rest): ([UInt8], Substring.UTF8View) = ([], text)
    while let byte = rest.popFirst() {
      if byte == mark {
        guard rest.first == mark else { return (String(decoding: first, as: UTF8.self), rest) }
        rest.removeFirst()
      }
      first.append(byte)
    }
    return (String(decoding: first, as: UTF8.self), nil)
  }

  /// The option's text, which must not be empty; nil where it is not given.
  mutating func text(_ name: String) throws(DatasetError) -> String? {
    known.append(name)
    guard let value = values.removeValue(forKey: name) else { return nil }
    guard !value.isEmpty else { throw .badSpecification(text, problem: "nothing after '\(name)='") }
    return value
  }

  /// The option's value, one of a few words; nil where it is not given.
  mutating func word<Word: RawRepresentable & CaseIterable>(
    _ name: String, _ type: Word.Type = Word.self
  ) throws(DatasetError) -> Word? where Word.RawValue == String {
    guard let value = try text(name) else { return nil }
    if let word = Word(rawValue: value) { return word }
    let words = Word.allCases.map(\.rawValue)
    throw .badSpecification(
      text,
      problem: "\(name) '\(value)' is not one of \(words.joined(separator: ", "))\(Self.hint(value, words))")
  }

  /// The option's amount of memory in bytes, such as 64MB; nil where it is not given.
  mutating func bytes(_ name: String) throws(DatasetError) -> Int? {
    guard let value = try text(name) else { return nil }
    guard let count = ByteCount(value) else {
      throw .badSpecification(
        text, problem: "\(name) '\(value)' is not a whole number and B, KB, MB, GB, KiB, MiB or GiB")
    }
    return count.bytes
  }

  /// The option's number, which must be in `range` and not `excluded`; nil where it is not given.
  mutating func take(
    _ name: String, in range: ClosedRange<Int>, except excluded: Int? = nil
  ) throws(DatasetError) -> Int? {
    guard let value = try text(name) else { return nil }
    return try number(value, named: name, in: range, except: excluded)
  }

  func number(
    _ value: String, named name: String, in range: ClosedRange<Int>, except excluded: Int? = nil
  ) throws(DatasetError) -> Int {
    guard let number = Int(value), range.contains(number), number != excluded else {
      let upper = range.upperBound == Int.max ? "or more" : "to \(range.upperBound)"
      let exception = excluded.map { " except \($0)" } ?? ""
      throw .badSpecification(
        text,
        problem: "\(name) '\(value)' is not a whole number, \(range.lowerBound) \(upper)\(exception)")
    }
    return number
  }

  /// Throws if an option was not taken.
  func requireEmpty() throws(DatasetError) {
    guard let name = values.keys.min() else { return }
    throw .badSpecification(
      text,
      problem: "unknown option '\(Spelling.shortened(name))' for kind '\(kind)', which has "
        + known.sorted().joined(separator: ", ") + Self.hint(name, known))
  }

  /// Throws for a kind that is none of `kinds`.
  func rejectKind(_ kinds: [String]) -> DatasetError {
    .badSpecification(text, problem: "unknown kind '\(Spelling.shortened(kind))'\(Self.hint(kind, kinds))")
  }

  private static func hint(_ word: String, _ words: [String]) -> String {
    Spelling.nearest(to: word, among: words).map { "; did you mean \($0)?" } ?? ""
  }
}
