/// Something to be asked of who may be stuck: one question at a time, however many wait for its answer.
package actor Question<Answer: Sendable> {
  private let ask: @Sendable () async -> Answer
  private var waiters: [Int: CheckedContinuation<Answer?, Never>] = [:]
  private var count = 0
  private var isAsked = false

  /// - Parameter ask: gets the answer, some time or never.
  package init(_ ask: @escaping @Sendable () async -> Answer) { self.ask = ask }

  /// The answer; nil where there is none within so long.
  package func answer(within patience: Duration) async -> Answer? {
    count += 1
    let number = count
    let limit = Task {
      try? await Task.sleep(for: patience)
      self.resume(number, nil)
    }
    defer { limit.cancel() }
    return await withCheckedContinuation { waiter in
      waiters[number] = waiter
      guard !isAsked else { return }
      isAsked = true
      Task { self.arrived(await self.ask()) }
    }
  }

  private func arrived(_ answer: Answer) {
    isAsked = false
    for number in waiters.keys { resume(number, answer) }
  }

  private func resume(_ number: Int, _ answer: Answer?) {
    waiters.removeValue(forKey: number)?.resume(returning: answer)
  }
}
