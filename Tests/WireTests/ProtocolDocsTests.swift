import Engine
import Federation
import Foundation
import Testing
import Wire

/// docs/protocol.md is the reference for clients in other languages.
@Suite struct ProtocolDocsTests {
  /// The page, in the repository above Tests/WireTests.
  private static let page = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appending(path: "docs/protocol.md")

  private let text: String

  init() throws { text = try String(contentsOf: Self.page, encoding: .utf8) }

  /// Returns the cells of the table rows whose first cell matches.
  private func rows(where isWanted: (String) -> Bool) -> [[String]] {
    text.split(separator: "\n").filter { $0.hasPrefix("| ") }
      .map { $0.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) } }
      .filter { isWanted($0[0]) }
  }

  @Test func theFrameThatItShowsIsTheOneThatIsSent() throws {
    let blocks = text.components(separatedBy: "```text\n").compactMap {
      $0.components(separatedBy: "```").first
    }
    let example = try #require(blocks.first { $0.contains("length of the head\n") })
    var bytes: [UInt8] = []
    for line in example.split(separator: "\n") {
      // The explanation follows the bytes, and does not start with a hexadecimal number of whole bytes.
      for word in line.split(separator: " ") {
        guard word.count % 2 == 0, word.allSatisfy(\.isHexDigit) else { break }
        var digits = word[...]
        while let byte = UInt8(digits.prefix(2), radix: 16) {
          bytes.append(byte)
          digits = digits.dropFirst(2)
        }
      }
    }
    #expect(bytes == Array(try Message.goodbye(Goodbye(.finished)).frame().encoded()))
  }

  @Test func everyKindStandsThereWithItsByte() throws {
    var numbers = RandomNumbers(1)
    let kinds = try (0..<RandomMessage.kinds).map { kind in
      let message = RandomMessage.make(kind: kind, &numbers)
      return ["\(try message.frame().kind)", message.name]
    }
    let documented = rows { (1...99).contains(Int($0) ?? 0) }.filter { $0.count == 4 }
    #expect(documented.map { Array($0.prefix(2)) } == kinds.sorted { Int($0[0])! < Int($1[0])! })
  }

  @Test func everyRejectionStandsThere() {
    let names = Set(Rejection.allCases.map(\.rawValue))
    #expect(rows { names.contains($0) }.map { $0[0] } == Rejection.allCases.map(\.rawValue))
  }

  @Test func itsNumbersAreTheCodes() {
    let limits = "\(grouped(WireLimits.frameBeforeHello)) from a client that has not said hello, "
    #expect(text.contains(limits + "\(grouped(WireLimits.frame)) afterwards and from the server"))
    #expect(text.contains("a piece is at most \(grouped(WireLimits.chunk)) bytes"))
    #expect(text.contains("first, within \(WireLimits.helloSeconds) s of connecting"))
    #expect(text.contains("at least \(Frame.overhead - 4) |"))
  }

  @Test func theBoundsOfNumbersAreTheCodes() {
    let figure = grouped(Int(NumberBounds.figure.upperBound))
    #expect(NumberBounds.figure.lowerBound == -NumberBounds.figure.upperBound)
    #expect(text.contains("| `loss`, each of `metrics` | -\(figure) … \(figure) |"))
    let samples = NumberBounds.samples
    #expect(text.contains("| `samples` | \(samples.lowerBound) … \(grouped(samples.upperBound)) |"))
    let seconds = grouped(Int(NumberBounds.seconds.upperBound))
    #expect(
      text.contains("| `seconds` of an offer, `heartbeatSeconds` | 0 … \(seconds) |"))
    #expect(NumberBounds.share == 0...1 && text.contains("| `from` and `to` of `schedule` | 0 … 1 |"))
    let bytes = grouped(NumberBounds.bytes.upperBound)
    #expect(text.contains("| `bytes`, `offset`, `total`, `chunkBytes` | 0 … \(bytes) |"))
    #expect(NumberBounds.whole == 0...(1 << 53 - 1) && text.contains("`protocol` | 0 … 2^53 - 1 |"))
    #expect(text.contains("more than \(grouped(Int(Divergence.mostGrowth))) times as large as 1 and"))
  }

  private func grouped(_ number: Int) -> String {
    var (digits, groups) = (String(number), [String]())
    while !digits.isEmpty {
      groups.insert(String(digits.suffix(3)), at: 0)
      digits.removeLast(min(3, digits.count))
    }
    return groups.joined(separator: ",")
  }

  /// The order of the weights, part by part, in which a client must store them.
  @Test func theWeightsStandThereInTheirOrder() throws {
    var plan = Plan(encoder: EncoderConfiguration(image: 16, patch: 4, width: 24, depth: 1, heads: 3))
    plan.method.objective = .mocov3
    let layout = plan.stage(1).model.layout
    for (part, prefix) in [
      ("stem", ""), ("blocks.i", "blocks.0."), ("norm", "norm."), ("projector", "projector."),
      ("predictor", "predictor."),
    ] {
      let row = try #require(rows { $0 == "`\(part)`" }.first)
      let documented = row[1].matches(of: /([a-z0-9_.]+) \[/).map { String($0.1) }
      let names = layout.entries.map(\.name).filter { name in
        prefix.isEmpty
          ? !["blocks.", "norm.", "projector.", "predictor."].contains { name.hasPrefix($0) }
          : name.hasPrefix(prefix)
      }
      #expect(documented == names.map { String($0.dropFirst(prefix.count)) }, "\(part)")
    }
  }

  /// The same for a ResNet, whose parts contain the listed names in order.
  @Test func theWeightsOfAResNetStandThereInTheirOrder() throws {
    let plan = Plan(
      encoder: EncoderConfiguration(
        ResNetConfiguration(images: ImageInput(side: 16), width: 4, depth: 4)))
    let entries = plan.stage(2).model.layout.entries
    for (row, part) in [("`stem` of a ResNet", "stem"), ("`adapter.n`", "adapter.2")] {
      let cells = try #require(rows { $0 == row }.first)
      let documented = cells[1].matches(of: /([a-z0-9_.]+) \[/).map { String($0.1) }
      #expect(documented == entries.filter { $0.part == part }.map(\.name), "\(part)")
    }
    // The names in a layer with which a residual block's units start.
    let cells = try #require(rows { $0 == "`blocks.i` of a ResNet" }.first)
    let units = entries.filter { $0.part == "blocks.1" }.map { $0.name.dropFirst("layer2.0.".count) }
      .compactMap { $0.wholeMatch(of: /((?:conv|downsample\.)\d)\.weight/).map { String($0.1) } }
    #expect(units == ["conv1", "conv2", "downsample.0", "downsample.1", "conv1", "conv2"])
    for unit in units { #expect(cells[1].contains(unit), "\(unit)") }
  }
}
