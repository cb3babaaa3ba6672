import Federation
import Foundation

extension Leader {
  /// What is going on at the time `now`, which is the wall clock's `date`.
  package func status(since: Date, at now: Duration, _ date: Date) -> ServerStatus {
    let (phase, deadline): (ServerStatus.Phase, Duration?) =
      switch round.phase {
      case .recruiting: (.recruiting, round.nextDeadline)
      case .training(let deadline): (.training, deadline)
      case .aggregating: (.aggregating, nil)
      case .calibrating: (.calibrating, nil)
      case .closed: (.finished, nil)
      }
    return ServerStatus(
      phase: phase, stage: round.key.stage, stages: plan.stages, round: round.key.round,
      rounds: plan.rounds(stage: round.key.stage), attempt: round.key.attempt, present: present.count,
      away: present.count - round.available,
      needed: round.clientsNeeded, cohort: round.cohort.count, admitted: round.ledger.admitted.count,
      quorum: plan.round.quorum, since: since,
      until: deadline.map { date.addingTimeInterval(($0 - now).seconds) }, process: getpid())
  }
}
