import Engine

/// What follows a committed round.
package enum Decision: String, Sendable, Hashable, Codable {
  /// Another round of the stage.
  case continueStage = "continue"
  /// The first round of the next stage.
  case beginStage = "next stage"
  /// The job is done.
  case finish
}

/// Decides what comes after a round: a pure value over the plan and the history of rounds. Its decision is stored with
/// the commit of the round, so that a server that is started again goes on with it.
///
/// A new curriculum conforms to this and joins ``CurriculumKind``.
package protocol Curriculum: Sendable {
  /// Stages of the job.
  var stages: Int { get }
  /// The most rounds that a stage has, counted from 1.
  func mostRounds(stage: Int) -> Int
  /// Whether a stage may have fewer.
  var isOpen: Bool { get }
  /// - Parameter history: the metrics of the committed rounds of its stage in order, the round's own the last.
  func next(after key: RoundKey, history: [RoundMetrics]) -> Decision
  /// The part of its stage's learning rate schedule that a round covers.
  func place(of key: RoundKey) -> SchedulePlace
}

/// The part of a stage's learning rate schedule that a training covers: from 0, its begin, to 1, its end.
package struct SchedulePlace: Sendable, Hashable, Codable {
  package var from, to: Float

  package init(from: Float, to: Float) { (self.from, self.to) = (from, to) }

  /// All of it.
  package static let whole = SchedulePlace(from: 0, to: 1)
}

extension Curriculum {
  /// Every round of a stage covers as much as any other, if the stage has all its rounds.
  package func place(of key: RoundKey) -> SchedulePlace {
    let rounds = Float(mostRounds(stage: key.stage))
    return SchedulePlace(from: Float(key.round - 1) / rounds, to: Float(key.round) / rounds)
  }

  /// What follows where a stage is over.
  func afterStage(_ stage: Int) -> Decision { stage < stages ? .beginStage : .finish }
}

/// Curricula by name.
package enum CurriculumKind: String, Sendable, Hashable, Codable, CaseIterable {
  /// Every stage has its number of rounds.
  case fixed
  /// A stage ends when its loss no longer falls.
  case plateau
}

/// Every stage has its number of rounds.
package struct FixedCurriculum: Curriculum {
  package let stages: Int
  private let rounds: @Sendable (Int) -> Int
  package let isOpen = false

  /// `rounds` are those of a stage.
  package init(stages: Int, rounds: @escaping @Sendable (_ stage: Int) -> Int) {
    (self.stages, self.rounds) = (stages, rounds)
  }

  package func mostRounds(stage: Int) -> Int { rounds(stage) }

  package func next(after key: RoundKey, history: [RoundMetrics]) -> Decision {
    key.round < rounds(key.stage) ? .continueStage : afterStage(key.stage)
  }
}

/// A stage ends when the mean loss of its last ``window`` rounds is not below that of the ``window`` rounds before by a
/// share of ``improvement``; it has ``leastRounds`` at least, and at most as many as a fixed curriculum would give it.
package struct PlateauCurriculum: Curriculum {
  package let fixed: FixedCurriculum
  package let window: Int
  package let improvement: Float
  package let leastRounds: Int
  package let isOpen = true

  package var stages: Int { fixed.stages }
  package func mostRounds(stage: Int) -> Int { fixed.mostRounds(stage: stage) }

  package func next(after key: RoundKey, history: [RoundMetrics]) -> Decision {
    guard key.round < mostRounds(stage: key.stage), key.round >= leastRounds, history.count >= 2 * window
    else { return fixed.next(after: key, history: history) }
    func mean(_ rounds: ArraySlice<RoundMetrics>) -> Double {
      rounds.reduce(0) { $0 + ($1[.loss] ?? .nan) } / Double(rounds.count)
    }
    let last = mean(history.suffix(window))
    let before = mean(history.dropLast(window).suffix(window))
    // A loss that is no number says nothing, and what follows from it is not this rule's to say.
    guard last.isFinite, before.isFinite else { return .continueStage }
    return before - last < Double(improvement) * abs(before) ? afterStage(key.stage) : .continueStage
  }
}

extension Plan {
  /// The plan's curriculum.
  package var curriculum: any Curriculum {
    let fixed = FixedCurriculum(stages: stages) { [self] in mostRounds(stage: $0) }
    return switch method.curriculum {
    case .fixed: fixed
    case .plateau:
      PlateauCurriculum(
        fixed: fixed, window: method.plateauWindow, improvement: method.plateauImprovement,
        leastRounds: method.leastRounds)
    }
  }

  /// The first attempt at the round that a decision leads to; nil where the job is done.
  package func round(after key: RoundKey, _ decision: Decision) -> RoundKey? {
    switch decision {
    case .continueStage: RoundKey(stage: key.stage, round: key.round + 1)
    case .beginStage: RoundKey(stage: key.stage + 1, round: 1)
    case .finish: nil
    }
  }
}

// MARK: - From stage to stage

extension Plan {
  /// The model that the first stage starts from: the parts of `initial`, and what that lacks at random.
  package func firstSnapshot(from initial: InitialWeights? = nil) -> Snapshot {
    let stage = stage(1)
    let parameters = Storage(stage.model.layout)
    Initialisation.random(stage.model, into: parameters, seed: seed)
    for part in stage.model.parts { initial?.write(part, of: stage.model, into: parameters) }
    return Snapshot(stage, parameters)
  }

  /// The model that the next stage starts from. Parts that are new are those of `initial`, or start as the plan's
  /// method says.
  package func grow(_ below: Snapshot, from initial: InitialWeights? = nil) -> Snapshot {
    let stage = stage(below.stage.index + 1)
    let old = Storage(below.stage.model.layout)
    below.write(into: old)
    let parameters = Storage(stage.model.layout)
    Initialisation.grow(
      stage.model, into: parameters, from: below.stage.model, old, method.initialisation,
      layersPerStage: method.layersPerStage, seed: seed)
    for part in stage.model.parts where below.stage.model.part(part.name) == nil {
      initial?.write(part, of: stage.model, into: parameters)
    }
    return Snapshot(stage, parameters)
  }
}
