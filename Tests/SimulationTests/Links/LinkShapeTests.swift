import Foundation
import Simulation
import Testing

@Suite struct LinkShapeTests {
  @Test func readsAllParts() throws {
    let link = try LinkShape(parsing: "1mbit/10mbit,80ms,0.5%")
    #expect(link.up.bitsPerSecond == 1_000_000 && link.down.bitsPerSecond == 10_000_000)
    #expect(link.delay.milliseconds == 80 && link.loss == 0.5)
  }

  @Test func partsMayBeLeftOutAtTheEnd() throws {
    let rate = try LinkShape(parsing: "64kbit")
    #expect(rate.up == rate.down && rate.up.bitsPerSecond == 64_000)
    #expect(rate.delay.milliseconds == 0 && rate.loss == 0)
    let delayed = try LinkShape(parsing: "64kbit,2s")
    #expect(delayed.delay.milliseconds == 2000 && delayed.loss == 0)
  }

  @Test(arguments: [
    "1mbit", "1mbit/10mbit", "1mbit,80ms", "1gbit,0s,1%", "1mbit,1s,0.25%", "64kbit/1mbit,80ms,99.5%",
  ])
  func aLinkIsWrittenAsItIsRead(text: String) throws {
    let link = try LinkShape(parsing: text)
    #expect(link.description == text)
    let coded = try JSONEncoder().encode([link])
    #expect(try JSONDecoder().decode([LinkShape].self, from: coded) == [link])
    #expect(try JSONDecoder().decode([String].self, from: coded) == [text])
  }

  @Test(arguments: [
    ("", "its rate is ''"), ("1", "its rate is '1'; must be a whole number and kbit, mbit or gbit"),
    ("1mbit/", "its rate is ''"), ("1mbit/2mbit/3mbit", "3 rates"), ("11gbit", "1kbit to 10gbit"),
    ("1mbit,80", "its delay has no unit"), ("1mbit,,1%", "its delay is ''"), ("1mbit,6s", "5s is the most"),
    ("1mbit,80ms,1", "its loss is '1'"), ("1mbit,80ms,100%", "its loss is '100%'"),
    ("1mbit,80ms,-1%", "its loss is '-1%'"), ("1mbit,80ms,nan%", "its loss is 'nan%'"),
    ("1mbit,80ms,%", "its loss is '%'"), ("1mbit,80ms,1%,2", "4 parts"),
  ])
  func whatIsWrongIsNamedInOneLine(text: String, problem: String) {
    let error = #expect(throws: LinkShapeError.self) { try LinkShape(parsing: text) }
    let line = error?.description ?? ""
    #expect(line.hasPrefix("link '\(text)': ") && line.contains(problem), "\(line)")
    #expect(line.hasSuffix("; accepted: \(LinkShape.accepted)"), "\(line)")
  }

  @Test func aLineStaysOne() {
    let error = #expect(throws: LinkShapeError.self) {
      try LinkShape(parsing: "1mbit\n,\u{1B}[31m" + String(repeating: "x", count: 500))
    }
    let line = error?.description ?? ""
    #expect(!line.contains("\n") && !line.contains("\u{1B}") && line.count < 400, "\(line)")
  }
}
