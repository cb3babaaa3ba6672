import Engine
import Foundation
import Simulation
import Testing

/// Golden cases, computed in float64 by other implementations: the cases of Tests/golden, and those outside the
/// repository.
@Suite struct ConformanceTests {
  /// The cases that Tests/golden/make_golden.py writes.
  private static let own: URL = {
    var tests = URL(fileURLWithPath: #filePath)
    for _ in 0..<3 { tests.deleteLastPathComponent() }
    return tests.appendingPathComponent("golden")
  }()

  @Test func everyOwnCasePasses() throws {
    let cases = try GoldenFolder(Self.own).cases
    #expect(cases.count >= 20)
    for golden in cases {
      let outcome = Conformance.run(golden)
      #expect(outcome.passed, "\(outcome.line)")
    }
  }

  /// The folder ../shared/golden, relative to the package.
  static let golden: URL = {
    var root = URL(fileURLWithPath: #filePath)
    for _ in 0..<4 { root.deleteLastPathComponent() }
    return root.deletingLastPathComponent().appendingPathComponent("shared/golden")
  }()

  static let goldenExists = FileManager.default.fileExists(
    atPath: golden.appendingPathComponent("manifest.json").path)

  @Test(.enabled(if: goldenExists, "there are no golden cases in ../shared/golden"))
  func everyGoldenCasePasses() throws {
    let cases = try GoldenFolder(Self.golden).cases
    #expect(cases.count > 30)
    var passed = 0
    for golden in cases {
      let outcome = Conformance.run(golden)
      #expect(outcome.passed, "\(outcome.line)")
      #expect(outcome.line.hasPrefix("pass  \(golden.name)"), "\(outcome.line)")
      if outcome.passed { passed += 1 }
    }
    #expect(passed == cases.count)
  }

  private static let supervised = golden.deletingLastPathComponent().appendingPathComponent(
    "golden-supervised")

  @Test(
    .enabled(
      if: FileManager.default.fileExists(atPath: supervised.path),
      "there are no golden cases in ../shared/golden-supervised"))
  func trainingWithLabelsPasses() throws {
    let cases = try GoldenFolder(Self.supervised).cases
    #expect(cases.count >= 30)
    for golden in cases {
      let outcome = Conformance.run(golden)
      #expect(outcome.passed, "\(outcome.line)")
    }
  }

  @Test func theRightNumbersPass() throws {
    let outcome = try #require(try OptimiserCase.run { _ in })
    #expect(outcome.passed, "\(outcome.line)")
  }

  /// An error is compared with the tolerance, here 1e-5, relative to the largest expected number, 4.
  @Test(arguments: [
    (0 as Float, true), (2e-5, true), (-2e-5, true), (1e-4, false), (-1e-4, false), (3, false),
  ])
  func aWrongExpectedNumberFails(error: Float, passes: Bool) throws {
    let outcome = try #require(try OptimiserCase.run { $0["out.parameter"]?[1] += error })
    #expect(outcome.passed == passes, "\(outcome.line)")
    if !passes { #expect(outcome.line.hasPrefix("FAIL") && outcome.line.contains("out.parameter")) }
  }

  @Test(arguments: ["in.gradients", "in.parameter", "out.parameter"])
  func whatIsNotANumberFails(name: String) throws {
    for value in [Float.nan, .infinity] {
      let outcome = try #require(try OptimiserCase.run { $0[name]?[1] = value })
      #expect(!outcome.passed, "\(value) in \(name): \(outcome.line)")
    }
    // NaN fails even if NaN is expected.
    let both = try #require(
      try OptimiserCase.run {
        $0[name]?[1] = .nan
        $0["out.parameter"]?[1] = .nan
      })
    #expect(!both.passed, "\(both.line)")
  }

  @Test func anUnknownOpFails() throws {
    let outcome = try #require(try OptimiserCase.run(op: "telepathy") { _ in })
    #expect(!outcome.passed)
    #expect(outcome.line.contains("does not know the op telepathy"), "\(outcome.line)")
  }

  @Test func whatIsMissingOrOfAnotherSizeFails() throws {
    for name in ["in.parameter", "in.gradients", "out.parameter"] {
      let missing = try #require(try OptimiserCase.run { $0[name] = nil })
      #expect(!missing.passed && missing.line.contains(name), "\(missing.line)")
      let shorter = try #require(try OptimiserCase.run { $0[name]?.removeLast() })
      #expect(!shorter.passed, "\(shorter.line)")
    }
  }

  @Test func aFolderWithoutAReadableManifestIsRejected() throws {
    try OptimiserCase.withFolder { folder in
      #expect(throws: ConformanceError.self) { try GoldenFolder(folder) }
      for text in ["", "{}", #"{"format": 2, "cases": []}"#, #"{"format": 1, "cases": [{"name": "a"}]}"#] {
        try Data(text.utf8).write(to: folder.appendingPathComponent("manifest.json"))
        #expect(throws: ConformanceError.self, "\(text)") { try GoldenFolder(folder) }
      }
      let text = #"{"format": 1, "cases": []}"#
      try Data(text.utf8).write(to: folder.appendingPathComponent("manifest.json"))
      #expect(try GoldenFolder(folder).cases.isEmpty)
    }
  }
}
