import Federation
import Testing

@Suite struct CohortTests {
  private let names = (0..<20).map { "client-\($0)" }

  @Test func isTheSameInWhateverOrder() {
    let key = RoundKey(stage: 1, round: 1)
    let cohort = Cohort.draw(5, from: names, seed: 3, key)
    #expect(cohort.count == 5 && cohort == cohort.sorted() && Set(cohort).isSubset(of: names))
    #expect(Cohort.draw(5, from: names.reversed(), seed: 3, key) == cohort)
    #expect(Cohort.draw(5, from: Set(names), seed: 3, key) == cohort)
  }

  @Test func changesWithSeedStageRoundAndAttempt() {
    let keys = [
      RoundKey(stage: 1, round: 1), RoundKey(stage: 2, round: 1), RoundKey(stage: 1, round: 2),
      RoundKey(stage: 1, round: 1, attempt: 2),
    ]
    let cohorts = keys.map { Cohort.draw(10, from: names, seed: 3, $0) }
    #expect(Set(cohorts + [Cohort.draw(10, from: names, seed: 4, keys[0])]).count == 5)
  }

  @Test func takesAllWhereTheyAreTooFew() {
    let key = RoundKey(stage: 1, round: 1)
    #expect(Cohort.draw(4, from: ["b", "a"], seed: 1, key) == ["a", "b"])
    #expect(Cohort.draw(4, from: [String](), seed: 1, key) == [])
  }

  /// Each is drawn in a quarter of 2000 rounds; the bounds are 4.5 standard deviations away.
  @Test func everyoneHasTheSameChance() {
    var counts: [String: Int] = [:]
    for round in 1...2000 {
      for name in Cohort.draw(5, from: names, seed: 9, RoundKey(stage: 1, round: round)) {
        counts[name, default: 0] += 1
      }
    }
    #expect(names.allSatisfy { (413...587).contains(counts[$0] ?? 0) }, "\(counts)")
  }

  /// The draw of a client does not depend on the others: clients drawn from all are also drawn from a subset with them.
  @Test func oneWhoLeavesChangesOnlyTheirOwnPlace() {
    let key = RoundKey(stage: 1, round: 1)
    let cohort = Cohort.draw(5, from: names, seed: 3, key)
    for absent in names {
      let others = Cohort.draw(5, from: names.filter { $0 != absent }, seed: 3, key)
      #expect(Set(cohort).subtracting([absent]).isSubset(of: others), "without \(absent)")
    }
  }
}
