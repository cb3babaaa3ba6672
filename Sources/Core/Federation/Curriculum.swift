import Engine
import Support

/// The decision after a committed round.
package enum Decision: String, Sendable, Hashable, Codable {
  /// Continues with another round of the stage.
  case continueStage = "continue"
  /// Begins the first round of the next stage.
  case beginStage = "next stage"
  /// Finishes the job.
  case finish
}

/// Decides what follows a round: a pure value over the plan and the history of rounds. The decision is stored with the
/// commit of the round, so that a restarted server uses it.
///
/// A new curriculum conforms to this protocol and is added to ``CurriculumKind``.
package protocol Curriculum: Sendable {
  /// The number of stages of the job.
  var stages: Int { get }
  /// Returns the maximum number of rounds of a stage; stages start at 1.
  func mostRounds(stage: Int) -> Int
  /// Whether a stage may have fewer rounds.
  var isOpen: Bool { get }
  /// - Parameter history: The metrics of the committed rounds in order, by stage; those of `key` are the last of the last
  ///   stage.
  func next(after key: RoundKey, history: [[RoundMetrics]]) -> Decision
  /// The part of its stage's learning rate schedule that a round covers.
  func place(of key: RoundKey) -> SchedulePlace
}

/// A part of the learning rate schedule of a stage, from 0 (begin) to 1 (end).
package struct SchedulePlace: Sendable, Hashable, Codable {
  package var from, to: Float

  package init(from: Float, to: Float) { (self.from, self.to) = (from, to) }

  /// The whole schedule.
  package static let whole = SchedulePlace(from: 0, to: 1)
}

extension Curriculum {
  /// Returns equal parts of the schedule for all rounds that the stage can have.
  package func place(of key: RoundKey) -> SchedulePlace {
    let rounds = Float(mostRounds(stage: key.stage))
    return SchedulePlace(from: Float(key.round - 1) / rounds, to: Float(key.round) / rounds)
  }

  /// Returns the decision at the end of a stage.
  package func afterStage(_ stage: Int) -> Decision { stage < stages ? .beginStage : .finish }
}

/// A curriculum that plans can name.
package struct CurriculumKind: NamedKind {
  /// The curricula of plans; a new curriculum is added here.
  package static let allCases: [CurriculumKind] = [.fixed, .plateau, .controller]

  package let rawValue: String
  private let make: @Sendable (FixedCurriculum, Plan, ControllerFile?) -> any Curriculum

  /// Creates a kind with a name in plans; `make` creates it from a plan and from the curriculum of the plan's rounds.
  package init(_ name: String, _ make: @escaping @Sendable (FixedCurriculum, Plan) -> any Curriculum) {
    self.init(name) { fixed, plan, _ in make(fixed, plan) }
  }

  /// Creates a kind that also uses the plan's controller, which only the server has.
  init(
    _ name: String, _ make: @escaping @Sendable (FixedCurriculum, Plan, ControllerFile?) -> any Curriculum
  ) {
    (rawValue, self.make) = (name, make)
  }

  fileprivate func curriculum(
    _ fixed: FixedCurriculum, _ plan: Plan, _ controller: ControllerFile?
  ) -> any Curriculum { make(fixed, plan, controller) }
}

/// A curriculum with a fixed number of rounds for each stage.
package struct FixedCurriculum: Curriculum {
  package let stages: Int
  private let rounds: @Sendable (Int) -> Int
  package let isOpen = false

  /// Creates a curriculum; `rounds` returns the number of rounds of a stage.
  package init(stages: Int, rounds: @escaping @Sendable (_ stage: Int) -> Int) {
    (self.stages, self.rounds) = (stages, rounds)
  }

  package func mostRounds(stage: Int) -> Int { rounds(stage) }

  package func next(after key: RoundKey, history: [[RoundMetrics]]) -> Decision {
    key.round < rounds(key.stage) ? .continueStage : afterStage(key.stage)
  }
}

/// A curriculum that ends a stage when the mean loss of the last ``window`` rounds is not lower than that of the
/// ``window`` rounds before by the share ``improvement``. A stage has at least ``minimum`` rounds, and at most those of
/// the fixed curriculum.
package struct PlateauCurriculum: Curriculum {
  package let fixed: FixedCurriculum
  package let window: Int
  package let improvement: Float
  package let minimum: Int
  package let isOpen = true

  package var stages: Int { fixed.stages }
  package func mostRounds(stage: Int) -> Int { fixed.mostRounds(stage: stage) }

  package func next(after key: RoundKey, history: [[RoundMetrics]]) -> Decision {
    let rounds = history.last ?? []
    guard key.round < mostRounds(stage: key.stage), key.round >= minimum, rounds.count >= 2 * window
    else { return fixed.next(after: key, history: history) }
    func mean(_ rounds: ArraySlice<RoundMetrics>) -> Double {
      rounds.reduce(0) { $0 + ($1[.loss] ?? .nan) } / Double(rounds.count)
    }
    let last = mean(rounds.suffix(window))
    let before = mean(rounds.dropLast(window).suffix(window))
    // A non-finite loss gives no information and is handled elsewhere.
    guard last.isFinite, before.isFinite else { return .continueStage }
    return before - last < Double(improvement) * abs(before) ? afterStage(key.stage) : .continueStage
  }
}

extension CurriculumKind {
  /// Every stage has a fixed number of rounds.
  package static let fixed = CurriculumKind("fixed") { fixed, _ in fixed }
  /// A stage ends when its loss stops falling.
  package static let plateau = CurriculumKind("plateau") { fixed, plan in
    let end = plan.method.stageEnd
    return PlateauCurriculum(
      fixed: fixed, window: end.window, improvement: end.improvement, minimum: end.minimum)
  }
}

extension Plan {
  /// The curriculum as clients and reports know it, without the file of a controller.
  package var curriculum: any Curriculum { curriculum(with: nil) }

  /// Returns the curriculum that decides, with the plan's controller if it has one.
  package func curriculum(with controller: ControllerFile?) -> any Curriculum {
    let fixed = FixedCurriculum(stages: stages) { [self] in mostRounds(stage: $0) }
    return method.stageEnd.when.curriculum(fixed, self, controller)
  }

  /// Returns the first attempt at the round after a decision; nil if the job is finished.
  package func round(after key: RoundKey, _ decision: Decision) -> RoundKey? {
    switch decision {
    case .continueStage: RoundKey(stage: key.stage, round: key.round + 1)
    case .beginStage: RoundKey(stage: key.stage + 1, round: 1)
    case .finish: nil
    }
  }
}

// MARK: - Growth

extension Plan {
  /// Returns the initial model of the first stage: parts from `initial`, and random values for the other parts.
  package func firstSnapshot(from initial: InitialWeights? = nil) -> Snapshot {
    let stage = stage(1)
    let parameters = Storage(stage.model.layout)
    Initialisation.random(stage.model, into: parameters, seed: seed)
    for part in stage.model.parts { initial?.write(part, of: stage.model, into: parameters) }
    return Snapshot(stage, parameters)
  }

  /// Returns the initial model of the next stage. New parts come from `initial` or are initialised with the plan's
  /// method. In a later lap no part is new, and a stage of a classification goes on from its layers and its exit as it
  /// left them.
  package func grow(_ below: Snapshot, from initial: InitialWeights? = nil) -> Snapshot {
    let stage = stage(below.stage.index + 1)
    if stage.content.lap > 1, method.classification != nil {
      return below.arranged(as: stage, waiting: waitingParts(stage: stage.index).map(\.name))
    }
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
