import Engine
import Federation
import Foundation
import Testing

@Suite struct DeltaChainTests {
  private let versions = ["one", "two", "three"].map { Digest(label: $0) }
  private let to = Digest(label: "now")

  private func step(_ from: Digest?, _ bytes: Int = 5) -> DeltaChain.Step {
    DeltaChain.Step(
      from: from, digest: Digest(label: "to \(from?.description ?? "whole")"), bytes: bytes, codec: .int8)
  }

  private var chain: DeltaChain { DeltaChain(to: to, steps: versions.map { step($0) }, fullDelta: step(nil)) }

  @Test func whoIsBehindTakesWhatIsLeftOfTheWay() {
    #expect(chain.path { $0 == versions[0] } == chain.steps)
    #expect(chain.path { $0 == versions[2] } == [chain.steps[2]])
    #expect(chain.path { $0 != to } == [chain.steps[2]], "the shortest of what is possible")
    #expect(chain.path { _ in false } == [step(nil)])
    #expect(DeltaChain(to: to, steps: chain.steps).path { _ in false } == nil)
  }

  @Test func onlyWhatIsNotHeldIsLacking() {
    let stem = PartVersion(name: "stem", digest: Digest(label: "stem"), bytes: 8)
    let changed = PartVersion(name: "blocks.0", digest: to, bytes: 8)
    var assignment = Assignment(
      key: RoundKey(stage: 1, round: 1), seed: 1, schedule: .whole, parts: [stem, changed, stem],
      trained: [])
    #expect(assignment.lacking { _ in false } == [stem, changed], "each once")
    #expect(assignment.lacking { $0 == stem } == [changed])
    assignment.deltaChains = [chain]
    let held = PartVersion(name: "blocks.0", digest: versions[1], bytes: 8)
    let steps = chain.steps[1...].map { PartVersion(name: "blocks.0", digest: $0.digest, bytes: 5) }
    #expect(assignment.lacking { $0 == stem || $0 == held } == steps)
    #expect(
      assignment.lacking { $0 == stem || $0 == held || $0 == steps[0] } == [steps[1]], "one is here already")
    #expect(assignment.lacking { $0 == stem || $0 == changed } == [])
  }
}
