import Foundation
import Support
import Testing

@Suite struct JSONTests {
  private struct Figures: Codable {
    var name: String
    var single: Float
    var double: Double
    var list: [Double?]
  }

  private static let bad = Figures(
    name: "\"NaN\" and null", single: .nan, double: .infinity, list: [-.infinity, nil, 1.5])

  /// JSON has no such numbers, and a strict parser must be able to read the result.
  @Test(arguments: [true, false]) func whatIsNotFiniteIsShownAsNull(isIndented: Bool) throws {
    let data = try JSON.shown(Self.bad, isIndented: isIndented)
    let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    #expect(object["name"] as? String == "\"NaN\" and null")
    #expect(object["single"] is NSNull && object["double"] is NSNull)
    let list = try #require(object["list"] as? [Any])
    #expect(list.count == 3 && list[0] is NSNull && list[1] is NSNull && list[2] as? Double == 1.5)
    #expect(String(decoding: data, as: UTF8.self).contains("\n") == isIndented)
  }

  @Test func whatIsStoredComesBackWhateverItIs() throws {
    let figures: Figures = try JSON.read(from: try JSON.stored(Self.bad))
    #expect(figures.name == Self.bad.name && figures.single.isNaN && figures.double == .infinity)
    #expect(figures.list == Self.bad.list)
    for number in [Double.nan, .infinity, -.infinity, .greatestFiniteMagnitude, -0.0, .leastNonzeroMagnitude]
    {
      let back: Double = try JSON.read(from: try JSON.stored(number))
      #expect(back == number || (back.isNaN && number.isNaN))
      #expect(throws: Never.self) { try JSON.shown(number) }
    }
  }
}
