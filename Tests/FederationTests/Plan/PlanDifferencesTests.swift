import Engine
import Federation
import Testing

@Suite struct PlanDifferencesTests {
  private func plan(_ text: String) throws -> Plan {
    try Plan(
      yaml: "encoder: {image: 32, patch: 4, width: 48, depth: 2, heads: 3}\n" + text, file: "plan.yaml")
  }

  @Test func fieldsThatDifferAreNamedInTheOrderOfTheFile() throws {
    let one = try plan("round: {cohort: 4, quorum: 3}\nmethod: {calibration: {data: 'shapes:64'}}")
    let other = try plan("name: other\nround: {cohort: 4, quorum: 2}")
    #expect(
      one.differences(from: other) == [
        "name: \"other\" there, \"strata\" here",
        "method.calibration.data: nothing there, \"shapes:64\" here",
        "method.calibration.epochs: nothing there, 1 here",
        "method.calibration.every: nothing there, round here", "round.quorum: 2 there, 3 here",
      ])
    #expect(one.differences(from: one).isEmpty)
  }
}
