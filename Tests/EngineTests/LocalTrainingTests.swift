import Engine
import Foundation
import Testing

@Suite struct LocalTrainingTests {
  /// The requests in order. There is one worker, so there is no race.
  private final class Requests {
    struct Request: Hashable { let view, image, epoch: Int }
    var all: [Request] = []
  }

  /// Random views that record the requests.
  private struct ListedViews: RowSource {
    let requests = Requests()
    let count: Int

    func write(view: Int, image: Int, epoch: Int, worker: Int, into pixels: UnsafeMutablePointer<Float>) {
      requests.all.append(Requests.Request(view: view, image: image, epoch: epoch))
      RandomViews(seed: 141, count: count)
        .write(view: view, image: image, epoch: epoch, worker: worker, into: pixels)
    }

    /// Returns the images of an epoch in the order of their first requests.
    func order(epoch: Int) -> [Int] {
      requests.all.filter { $0.epoch == epoch && $0.view == 0 }.map(\.image)
    }
  }

  private func train(
    images: Int, epochs: Int, seed: UInt64 = 142, progress: (Int, Int, Float) -> Bool = { _, _, _ in true }
  ) -> (ListedViews, TrainingSummary) {
    let options = TinyViT.options(batch: 4, epochs: epochs)
    let trainer = TinyViT.trainer(TinyViT.stage(.layerWise), options, seed: 143)
    let views = ListedViews(count: images)
    return (views, trainer.train(views, seed: seed, progress: progress))
  }

  @Test func everyImageIsSeenOnceAnEpochInBothViews() {
    let (views, summary) = train(images: 12, epochs: 3)
    #expect(summary.steps == 9 && !summary.wasStopped)
    let expected = (0..<3).flatMap { epoch in
      (0..<12).flatMap { image in
        (0..<2).map { Requests.Request(view: $0, image: image, epoch: epoch) }
      }
    }
    #expect(views.requests.all.count == expected.count)
    #expect(Set(views.requests.all) == Set(expected))
  }

  @Test func theLastIncompleteBatchIsDropped() {
    let (views, summary) = train(images: 11, epochs: 2)
    #expect(summary.steps == 4)
    for epoch in 0..<2 {
      let order = views.order(epoch: epoch)
      #expect(order.count == 8 && Set(order).count == 8 && order.allSatisfy { (0..<11).contains($0) })
    }
  }

  @Test func theOrderIsDrawnAnewEachEpochAndFromTheSeed() {
    let (views, _) = train(images: 40, epochs: 3)
    let orders = (0..<3).map(views.order)
    #expect(orders[0] != orders[1] && orders[1] != orders[2] && orders[0] != orders[2], "seed 142")
    #expect(!orders.contains(Array(0..<40)), "seed 142")
    let (again, _) = train(images: 40, epochs: 3)
    #expect((0..<3).map(again.order) == orders, "seed 142")
    let (other, _) = train(images: 40, epochs: 1, seed: 144)
    #expect(other.order(epoch: 0) != orders[0], "seeds 142 and 144")
  }

  @Test func progressIsToldAndCanStop() {
    var calls: [(Int, Int, Float)] = []
    let (views, summary) = train(images: 12, epochs: 2) { step, steps, loss in
      calls.append((step, steps, loss))
      return step < 4
    }
    #expect(calls.map(\.0) == [1, 2, 3, 4] && calls.allSatisfy { $0.1 == 6 })
    #expect(summary.steps == 4 && summary.wasStopped)
    #expect(abs(summary.loss - calls.map(\.2).reduce(0, +) / 4) < 1e-5)
    #expect(views.requests.all.count == 4 * 8)
  }

  @Test func stoppingAtTheLastStepIsNoStop() {
    var losses: [Float] = []
    let (_, summary) = train(images: 12, epochs: 2) { step, steps, loss in
      losses.append(loss)
      return step < steps
    }
    #expect(summary.steps == 6 && !summary.wasStopped)
    #expect(abs(summary.loss - losses.reduce(0, +) / 6) < 1e-5)
    #expect(abs(summary.lastLoss - losses.suffix(3).reduce(0, +) / 3) < 1e-5)
  }

  /// The trainer uses the schedule at every step: the last step of a cosine changes almost nothing.
  @Test func theScheduleIsFollowed() {
    var options = TinyViT.options(batch: 4, epochs: 20)
    options.weightDecay = 0
    options.schedule = LearningRateSchedule(.cosine, rate: 1e-3)
    let trainer = TinyViT.trainer(TinyViT.stage(.layerWise), options, seed: 145)
    var (previous, moves) = (trainer.parameters.all.array(), [Float]())
    _ = trainer.train(RandomViews(seed: 145, count: 8), seed: 145) { _, _, _ in
      let now = trainer.parameters.all.array()
      moves.append(zip(now, previous).reduce(0) { max($0, abs($1.0 - $1.1)) })
      previous = now
      return true
    }
    #expect(moves.count == 40 && moves[0] > 0.9e-3 && moves[39] < 1e-5, "seed 145")
  }

  @Test func fewerImagesThanABatchTrap() async {
    await #expect(processExitsWith: .failure) {
      let trainer = TinyViT.trainer(TinyViT.stage(.layerWise), TinyViT.options(batch: 4), seed: 146)
      _ = trainer.train(RandomViews(seed: 146, count: 3), seed: 146)
    }
  }
}
