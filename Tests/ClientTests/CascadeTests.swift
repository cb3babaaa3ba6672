import Client
import Datasets
import Engine
import Federation
import Foundation
import TestSupport
import Testing
import Wire

/// The selection of a stage's images by the exits of the stages before, at a real client.
@Suite(.unhurried) struct CascadeTests {
  private static let seed: UInt64 = 7
  private static let count = 24

  private func plan(confidence: Float = 0.5, commitment: Bool = false) -> Plan {
    var plan = Plan.tiny()
    (plan.method.objective, plan.method.alignment) = (.classification, 0)
    plan.method.classification = Plan.Classification(classes: .count(3))
    plan.method.cascade = Plan.Cascade(confidence: confidence, commitment: commitment)
    return plan
  }

  private func images(_ labels: [Int]? = nil) -> ImageSet {
    var random = RandomNumbers(Self.seed, "pixels")
    let pixels = (0..<Self.count * 64).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    return ImageSet(
      pixels: pixels, count: Self.count, channels: 1, size: 8,
      labels: labels ?? (0..<Self.count).map { $0 % 3 }, classes: 3)
  }

  /// A model of stage 2 whose first exit is confident about some images.
  private func snapshot(_ plan: Plan) -> Snapshot {
    let stage = plan.stage(2)
    let parameters = Storage(stage.model.layout)
    Initialisation.random(stage.model, into: parameters, seed: plan.seed)
    for entry in stage.model.layout.entries where entry.name.hasPrefix("exits.1.") {
      guard entry.name.hasSuffix("0.weight") || entry.name.hasSuffix("commitment.weight") else { continue }
      var random = RandomNumbers(Self.seed, entry.name)
      let values = parameters[entry.slot].flat
      for index in 0..<values.count { values[0, index] = random.normal() }
    }
    return Snapshot(stage, parameters)
  }

  /// What the exits of a model answer to the images as they are.
  private func answers(_ plan: Plan, _ snapshot: Snapshot, _ images: ImageSet) -> [EarlyExits.Prediction] {
    let parameters = Storage(snapshot.stage.model.layout)
    snapshot.write(into: parameters)
    let augmenter = Augmenter(
      .withLabels(mean: plan.augmentation.mean, deviation: plan.augmentation.deviation), for: plan.encoder)
    return EarlyExits.answers(
      snapshot.stage.model, parameters, images: images.count, workers: Workers(1)
    ) { augmenter.plain(images, index: $0, into: $1) }[0]
  }

  @Test(arguments: [false, true])
  func aClientTrainsOnWhatTheExitHasNotLearned(commitment: Bool) async throws {
    let (plan, images) = (plan(commitment: commitment), images())
    let snapshot = snapshot(plan)
    let labels = try #require(images.labels)
    let left = zip(answers(plan, snapshot, images), labels).count { answer, label in
      answer.label != label || answer.confidence < 0.5 || (answer.commitment ?? 1) < 0.5
    }
    try #require((2..<Self.count).contains(left), "seed \(Self.seed) shows nothing")
    try await withClient(plan, of: images) { server in
      let session = try await server.welcome()
      for round in 1...2 {
        try await session.send(.assignment(Assignment(snapshot, round: round)))
        guard case .offer(let offer) = try await session.serve(snapshot).1 else {
          throw Unexpected("no offer")
        }
        #expect(offer.samples == left && offer.steps == max(left / 8, 1) && offer.bytes > 0)
        _ = try await session.collect(offer)
        try await session.send(.acknowledgement(Acknowledgement(key: offer.key, rejection: nil)))
      }
      let selections = server.events.all.compactMap { event -> [Int]? in
        if case .selected(_, let images, let all) = event { [images, all] } else { nil }
      }
      #expect(selections == [[left, Self.count]], "one selection serves all rounds of a stage")
      try await server.finish(session)
    }
  }

  /// A client whose images are all learned takes no part: its offer has neither samples nor bytes.
  @Test func aClientWithoutImagesLeftTakesNoPart() async throws {
    let plan = plan(confidence: 0)
    let snapshot = snapshot(plan)
    let learned = images(answers(plan, snapshot, images()).map(\.label))
    try await withClient(plan, of: learned) { server in
      let session = try await server.welcome()
      try await session.send(.assignment(Assignment(snapshot)))
      guard case .offer(let offer) = try await session.serve(snapshot).1 else { throw Unexpected("no offer") }
      #expect(offer.isEmpty && offer.digest == Digest(of: Data()) && offer.badNumber == nil)
      #expect(offer.base == Snapshot.base(of: snapshot.manifest))
      #expect(try await session.collect(offer).isEmpty)
      try await session.send(.acknowledgement(Acknowledgement(key: offer.key, rejection: nil)))
      try await server.finish(session)
    }
  }

  /// The first stage has no exits, and trains on everything.
  @Test func theFirstStageTrainsOnAllImages() async throws {
    let plan = plan(confidence: 0)
    let snapshot = plan.snapshot()
    try await withClient(plan, of: images()) { server in
      let session = try await server.welcome()
      try await session.send(.assignment(Assignment(snapshot)))
      guard case .offer(let offer) = try await session.serve(snapshot).1 else { throw Unexpected("no offer") }
      #expect(offer.samples == Self.count)
      try await server.finish(session)
    }
  }
}
