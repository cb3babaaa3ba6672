import Datasets
import Engine
import Federation
import Foundation

/// Trains the whole sub-model on the server's own images after aggregation (LW-FedSSL, arXiv 2401.11647v3,
/// server-side calibration).
struct Calibrator: Sendable {
  let plan: Plan
  let calibration: Plan.Calibration
  let images: ImageSet
  let threads: Int

  /// Loads the plan's calibration images; nil if it has none. Throws ``ServerError/calibrationData(_:)``.
  init?(_ plan: Plan, threads: Int) throws(ServerError) {
    guard let calibration = plan.method.calibration else { return nil }
    do {
      // Nobody is there to hear of a broken file, and these images are the job's own.
      images = try DataSpec(parsing: calibration.data).load(
        role: .train, for: ImageFit(plan.encoder), strict: true)
    } catch {
      throw .calibrationData(error.description)
    }
    guard images.count >= 2 else { throw .calibrationData("\(calibration.data): one image is too few") }
    (self.plan, self.calibration, self.threads) = (plan, calibration, threads)
  }

  /// The snapshot after calibration, and the mean loss on the way; `progress` gets step and steps.
  func calibrate(
    _ snapshot: Snapshot, _ key: RoundKey, progress: @escaping @Sendable (Int, Int) -> Void
  ) async throws -> (Snapshot, loss: Float) {
    try await TrainingThread.run("calibration") {
      let options = plan.calibrationOptions(key, calibration, images: images.count)
      let trainer = Trainer(snapshot.stage.trainingEverything, options, workers: Workers(threads))
      snapshot.write(into: trainer.parameters)
      trainer.begin()
      let seed = plan.trainingSeed(key, client: "(server)")
      let augmenter = Augmenter(plan.augmentation, for: plan.encoder)
      let views = AugmentedViews(images, augmenter, seed: seed, workers: threads)
      let summary = trainer.train(views, seed: seed) { step, steps, loss in
        progress(step, steps)
        // Nothing comes of what is no number any more.
        return loss.isFinite
      }
      return (Snapshot(snapshot.stage, trainer.parameters), summary.loss)
    }
  }
}
