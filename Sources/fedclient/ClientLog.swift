import Client
import Commands
import Foundation
import Logging

/// A client's events as log lines.
struct ClientLog: Sendable {
  private let logger = makeLogger("fedclient")

  func warn(_ line: String) { logger.warning("\(line)") }

  func tell(_ line: String) { logger.notice("\(line)") }

  func shared(_ share: LocalShare, name: String) {
    logger.notice("\(name): share \(share.share), \(share.partition), from \(share.source)")
  }

  func note(_ event: ClientEvent) {
    switch event {
    case .connected(let endpoint): logger.info("connected to \(endpoint)")
    case .welcomed(let plan): logger.notice("joined the job '\(plan)'")
    case .assigned(let key, let missing, let bytes):
      logger.info("\(key): \(missing) layers to fetch, \(bytes) bytes")
    case .damaged(let digest): logger.warning("layer \(digest) is damaged and is fetched again")
    case .selected(let key, let images, let all):
      logger.notice("\(key): \(images) of \(all) images remain; earlier exits have learned the others")
    case .planned(let key, let bytes):
      logger.info("\(key): training needs \((bytes + 999_999) / 1_000_000) MB")
    case .training(let key, let step, let steps, let loss):
      if step == steps { logger.debug("\(key): step \(step) of \(steps), loss \(loss)") }
    case .trained(let key, let offer):
      // The divergence was already reported.
      guard offer.badNumber == nil else { break }
      guard !offer.isEmpty else {
        logger.notice("\(key): takes no part, because fewer than two images remain")
        break
      }
      let figures = String(format: "loss %.4f, %.1f s", offer.loss, offer.seconds)
      logger.notice("\(key): trained on \(offer.samples) images, \(figures)")
    case .diverged(let key, let step, let steps):
      logger.warning(
        "\(key): the training diverged at step \(step) of \(steps): its numbers are not finite, or too large"
      )
    case .offersAgain(let key): logger.notice("\(key): the earlier update is offered again")
    case .judged(let verdict):
      if let rejection = verdict.rejection {
        logger.warning("\(verdict.key): the update is rejected: \(rejection.explanation)")
      } else {
        logger.info("\(verdict.key): the update is admitted")
      }
    case .validated(let validation):
      let share = Double(validation.correct.last ?? 0) / Double(max(validation.images, 1))
      logger.info(
        "\(validation.key): the model is right about \(String(format: "%.1f %%", 100 * share)) of \(validation.images) images"
      )
    case .unvalidated(let key, let reason): logger.warning("\(key): no validation: \(reason)")
    case .dropped(let key): logger.info("\(key) has ended")
    case .declined(let key, let reason): logger.notice("\(key): declined: \(reason)")
    case .paused(let key, let reason): logger.notice("\(key): the training pauses: \(reason)")
    case .resumed(let key): logger.notice("\(key): the training resumes")
    case .disconnected(let reason): logger.warning("disconnected: \(reason)")
    case .finished: logger.notice("the job is done")
    }
  }
}
