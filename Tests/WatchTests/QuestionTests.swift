import TestSupport
import Testing
import Watch

@Suite(.unhurried) struct QuestionTests {
  private actor Stuck {
    private(set) var asked = 0
    private let (ends, end) = AsyncStream<Void>.makeStream()

    func answer() async -> Int {
      asked += 1
      for await _ in ends {}
      return 7
    }

    func free() { end.finish() }
  }

  @Test func whoIsStuckIsAskedOnceAndNotWaitedFor() async {
    let stuck = Stuck()
    let question = Question { await stuck.answer() }
    for _ in 0..<3 { #expect(await question.answer(within: .milliseconds(20)) == nil) }
    // The task runs immediately until it joins the actor's queue, before the answer.
    let late = Task.immediate { await question.answer(within: Unhurried.limit) }
    await stuck.free()
    #expect(await late.value == 7)
    #expect(await stuck.asked == 1, "the first question was still open")
  }

  @Test func anAnswerIsPassedOn() async {
    #expect(await Question { 3 }.answer(within: Unhurried.limit) == 3)
  }
}
