import Foundation
import Simulation
import Testing

/// The golden cases of Rényi entropies and of the normalised HSIC outside the repository.
@Suite struct InformationCasesTests {
  private static let folder = ConformanceTests.golden.deletingLastPathComponent().appendingPathComponent(
    "golden-supervised")

  @Test(
    .enabled(
      if: FileManager.default.fileExists(atPath: folder.path),
      "there are no golden cases in ../shared/golden-supervised"),
    arguments: ["renyi_entropy", "information_matrix", "normalised_hsic"])
  func everyGoldenCasePasses(op: String) throws {
    let cases = try GoldenFolder(Self.folder).cases.filter { $0.op == op }
    #expect(!cases.isEmpty)
    for golden in cases {
      let outcome = Conformance.run(golden)
      #expect(outcome.passed, "\(outcome.line)")
    }
  }
}
