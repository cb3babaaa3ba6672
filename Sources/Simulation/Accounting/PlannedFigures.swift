import Engine
import Federation

/// What a plan costs one client with this software: what is sent, computed and taken, known before anything
/// runs.
package struct PlannedFigures: Sendable, Hashable, Codable {
  /// Bytes of weights over all rounds (``PlannedTraffic``).
  package let bytesDown: Int
  package let bytesUp: Int
  /// 10^9 floating-point operations for each of the client's images over all local epochs: both views, all
  /// branches, products alone, an addition and a multiplication each.
  package let gigaflopsPerImage: Double
  /// The trainer's memory at the stage where it is largest, with one thread and no limit.
  package let memoryBytes: Int
  /// That stage, counted from 1.
  package let memoryStage: Int

  /// For a client with so many images.
  package init(_ plan: Plan, images: Int) {
    let traffic = PlannedTraffic(plan)
    (bytesDown, bytesUp) = (traffic.bytesDown, traffic.bytesUp)
    let operations = PlannedOperations(plan, images: images)
    var memory = (bytes: 0, stage: 1)
    for index in 1...plan.stages {
      let stage = plan.exampleStage(index)
      let options = plan.trainingOptions(RoundKey(stage: index, round: 1), images: images)
      let bytes = MemoryPlan(stage, options, workers: 1).bytes
      if bytes > memory.bytes { memory = (bytes, index) }
    }
    gigaflopsPerImage = operations.rounds.reduce(0, +) / Double(images) / 1e9
    (memoryBytes, memoryStage) = (memory.bytes, memory.stage)
  }

  /// Download and upload.
  package var bytes: Int { bytesDown + bytesUp }
}
