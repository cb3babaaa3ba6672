import Testing
import Watch

@Suite(.timeLimit(.minutes(5))) struct QuestionTests {
  private actor Stuck {
    private(set) var asked = 0
    private var waiting: CheckedContinuation<Int, Never>?

    func answer() async -> Int {
      asked += 1
      return await withCheckedContinuation { waiting = $0 }
    }

    func free() { waiting?.resume(returning: 7) }
  }

  @Test func whoIsStuckIsAskedOnceAndNotWaitedFor() async {
    let stuck = Stuck()
    let question = Question { await stuck.answer() }
    for _ in 0..<3 { #expect(await question.answer(within: .milliseconds(20)) == nil) }
    #expect(await stuck.asked == 1, "the first question is still open")
    async let late = question.answer(within: .seconds(50))
    await stuck.free()
    #expect(await late == 7)
  }

  @Test func anAnswerIsPassedOn() async {
    #expect(await Question { 3 }.answer(within: .seconds(50)) == 3)
  }
}
