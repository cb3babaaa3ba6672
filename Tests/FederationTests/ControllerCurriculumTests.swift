import Engine
import Federation
import Foundation
import Testing

@Suite struct ControllerCurriculumTests {
  /// Returns a controller that ends with probability `stop`, whatever the losses are: all its parameters are 0 but for
  /// the biases of the decoders.
  private func constant(
    _ stop: Float, stages: Int = 2, decisions: Int = 6, threshold: Double = 0.5, every: Int = 1,
    minimum: Int = 1, maximum: Int = 9
  ) -> ControllerFile {
    let shape = StageController.Shape(stages: stages, decisions: decisions)
    var parameters = [Float](repeating: 0, count: shape.layout.count)
    for entry in shape.layout.entries where entry.name.hasPrefix("decoder") && entry.name.hasSuffix("bias") {
      parameters[entry.slot.offset + 1] = log(stop / (1 - stop))
    }
    return ControllerFile(
      StageController(shape, parameters: parameters),
      ControllerFile.Rule(threshold: threshold, every: every, minimum: minimum, maximum: maximum))
  }

  /// Returns the numbers of rounds of a job's stages with these losses, nil for a round without one.
  private func rounds(
    _ file: ControllerFile?, most: Int = 20, loss: (RoundKey) -> Double? = { _ in 1 }
  ) -> [Int] {
    let stages = file?.controller.shape.stages ?? 2
    let curriculum = ControllerCurriculum(fixed: FixedCurriculum(stages: stages) { _ in most }, file: file)
    var (rounds, history) = ([Int](), [[RoundMetrics]()])
    var key = RoundKey(stage: 1, round: 1)
    while true {
      var metrics = RoundMetrics()
      metrics[.lastEpochLoss] = loss(key)
      history[history.count - 1].append(metrics)
      let decision = curriculum.next(after: key, history: history)
      if decision == .continueStage {
        key = RoundKey(stage: key.stage, round: key.round + 1)
        continue
      }
      rounds.append(key.round)
      guard decision == .beginStage else { return rounds }
      history.append([])
      key = RoundKey(stage: key.stage + 1, round: 1)
    }
  }

  @Test func aStageEndsFromTheThresholdOn() {
    #expect(rounds(constant(0.6)) == [1, 1])
    #expect(rounds(constant(0.4)) == [9, 9])
    #expect(rounds(constant(0.4, threshold: 0.39)) == [1, 1])
    // 1 / (1 + e⁰) is 0.5 exactly.
    #expect(rounds(constant(0.5)) == [1, 1], "at the threshold")
  }

  /// Decisions follow the rounds 1, 4, 7 …; the maximum also ends a stage between them.
  @Test func aStageHasItsMinimumAndItsMaximum() {
    #expect(rounds(constant(0.6, every: 3, minimum: 3)) == [4, 4])
    #expect(rounds(constant(0.6, every: 3, minimum: 4)) == [4, 4])
    #expect(rounds(constant(0.6, every: 3, minimum: 5)) == [7, 7])
    #expect(rounds(constant(0.6, every: 3, minimum: 8)) == [9, 9], "between decisions")
    #expect(rounds(constant(0.6, every: 3, minimum: 5, maximum: 6)) == [6, 6])
    #expect(rounds(constant(0.4, maximum: 50)) == [20, 20], "the plan's rounds")
    #expect(rounds(constant(0.4), most: 5) == [5, 5])
  }

  @Test func withoutALossThereIsNoDecision() {
    #expect(rounds(constant(0.6)) { $0.round < 4 ? nil : 1 } == [4, 4])
    #expect(rounds(constant(0.6, every: 2)) { $0.round == 1 ? nil : 1 } == [3, 3])
    #expect(rounds(constant(0.6)) { _ in nil } == [9, 9])
    #expect(rounds(constant(0.6)) { _ in .infinity } == [9, 9])
  }

  /// Clients and reports have no file.
  @Test func withoutItsFileItHasTheRoundsOfThePlan() {
    var plan = Plan(encoder: EncoderConfiguration(image: 8, patch: 4, width: 8, depth: 2, heads: 2))
    plan.method.stageEnd = Plan.StageEnd(.controller, model: "controller.json")
    #expect(plan.problems.isEmpty && plan.curriculum.isOpen)
    #expect(plan.curriculum.mostRounds(stage: 2) == 15 && rounds(nil) == [20, 20])
    let curriculum = plan.curriculum(with: constant(0.6, maximum: 9))
    #expect(curriculum.mostRounds(stage: 2) == 9)
    #expect(
      curriculum.place(of: RoundKey(stage: 1, round: 3)) == SchedulePlace(from: 2.0 / 9, to: 3.0 / 9))
  }

  /// A decision is that of a controller that is never asked twice about a round, as in a server that never restarts.
  @Test func decisionsAreThoseOfOneRun() {
    let seed = UInt64.random(in: 0..<1 << 40)
    for number in 0..<200 {
      var random = RandomNumbers(seed, "run", number)
      let stages = 1 + random.below(4)
      let controller = StageController(
        StageController.Shape(stages: stages, decisions: 1 + random.below(9)), seed: random.next())
      let maximum = 1 + random.below(9)
      let rule = ControllerFile.Rule(
        threshold: Double(random.uniform(0.35, 0.65)), every: 1 + random.below(3),
        minimum: 1 + random.below(maximum), maximum: maximum)
      var state = StageController.State()
      var isExpected = true
      var losses: [RoundKey: Double] = [:]
      let taken = rounds(ControllerFile(controller, rule), most: 8) { key in
        losses[key] = Double(random.uniform(0, 30))
        return losses[key]
      }
      for (stage, count) in taken.enumerated() {
        for round in 1...count {
          var ends = round >= min(maximum, 8)
          if (round - 1) % rule.every == 0 {
            let loss = losses[RoundKey(stage: stage + 1, round: round)]!
            let stop = controller.decide(loss: loss, stage: stage, &state)
            if stop >= rule.threshold && round >= rule.minimum { ends = true }
            state.hasEnded = ends
          }
          if ends != (round == count) { isExpected = false }
        }
      }
      #expect(isExpected, "seed \(seed), run \(number): \(taken)")
    }
  }

  // MARK: - The file

  @Test func aFileIsReadAsItWasWritten() throws {
    let shape = StageController.Shape(stages: 3, decisions: 12)
    let file = ControllerFile(
      StageController(shape, seed: 8),
      ControllerFile.Rule(threshold: 0.1 + 0.2, every: 2, minimum: 3, maximum: 9),
      origin: ["plan": "cifar"])
    #expect(try ControllerFile(parsing: try file.encoded()) == file)
  }

  /// Changes of a good file, and what the line about it contains.
  @Test(arguments: [
    (#"{"decisions""#, "[", "it is not JSON"),
    (#""stages":2"#, #""stages":0"#, "stages is 0; it must be 1 to 25600"),
    (#""stages":2"#, #""stages":"two""#, "'stages' has a value of another type"),
    (#","stages":2"#, "", "stages is missing"),
    (#""stages":2"#, #""stages":3"#, "embedding.weight must have 16 finite numbers, not 20"),
    (#""decisions":2"#, #""decisions":3"#, "embedding.weight must have 30 finite numbers, not 20"),
    (
      #""decisions":2"#, #""decisions":1"#,
      "'decoder.1.bias' is not a parameter of a controller of 1 decisions"
    ),
    (#""decisions":2"#, #""decisions":1000000000000"#, "decisions is 1000000000000; it must be 1 to 10000"),
    (#""every":1"#, #""every":0"#, "rule.every is 0"),
    (#""minimum":1"#, #""minimum":10"#, "rule.minimum is 10; it must be 1 to 9"),
    (#""maximum":9"#, #""maximum":-1"#, "rule.maximum is -1"),
    (#""threshold":0.5"#, #""threshold":1.5"#, "rule.threshold is 1.5; it must be 0 to 1"),
    (#""threshold":0.5"#, #""threshold":"NaN""#, "rule.threshold is nan"),
    (#""threshold":0.5"#, #""limit":0.5"#, "rule.threshold is missing"),
    (#""lstm.bias_hh":[0"#, #""lstm.bias_hh":["Infinity""#, "lstm.bias_hh must have 32 finite numbers"),
    (#""lstm.bias_hh":[0"#, #""lstm.bias_hh":[[0]"#, "'parameters.lstm.bias_hh"),
    (#""lstm.bias_hh""#, #""lstm.bias_x\u001b[2J""#, "is not a parameter"),
  ])
  func aDamagedFileHasOneLine(old: String, new: String, reason: String) throws {
    let good = String(decoding: try constant(0.5, decisions: 2).encoded(), as: UTF8.self)
    #expect(good.contains(old), "\(good.prefix(300))")
    let text = good.replacing(old, with: new, maxReplacements: 1)
    let error = #expect(throws: ControllerFile.FormatError.self) {
      try ControllerFile(parsing: Data(text.utf8))
    }
    let line = error?.description ?? ""
    #expect(line.hasPrefix("it is not a usable controller: ") && line.contains(reason), "\(line)")
    #expect(!line.unicodeScalars.contains { $0.value < 32 }, "\(line)")
  }

  @Test func aFileThatIsCutOffOrNoiseIsRejected() throws {
    let good = try constant(0.5).encoded()
    let seed = UInt64.random(in: 0..<1 << 40)
    var random = RandomNumbers(seed)
    for _ in 0..<200 {
      #expect(throws: ControllerFile.FormatError.self, "seed \(seed)") {
        try ControllerFile(parsing: good.prefix(random.below(good.count)))
      }
    }
    for text in ["", "{}", "[]", "null", "7", "\"controller\""] {
      #expect(throws: ControllerFile.FormatError.self) { try ControllerFile(parsing: Data(text.utf8)) }
    }
  }

  @Test func aFileOfAnotherNumberOfStagesIsRejected() {
    let plan = Plan(encoder: EncoderConfiguration(image: 8, patch: 4, width: 8, depth: 4, heads: 2))
    #expect(throws: Never.self) { try constant(0.5, stages: 4).check(fits: plan) }
    let error = #expect(throws: ControllerFile.FormatError.self) { try constant(0.5).check(fits: plan) }
    #expect(error?.description == "it is for 2 stages, and the plan has 4")
  }
}
