import Federation
import Foundation

extension Leader {
  /// What is going on at the time `now`, which is the wall clock's `date`.
  package func status(since: Date, at now: Duration, _ date: Date) -> ServerStatus {
    let (phase, deadline): (ServerStatus.Phase, Duration?) =
      switch round.phase {
      case .recruiting: (.recruiting, round.nextDeadline)
      // Nobody works on it until others are here in place of those who declined.
      case .training where round.isWaiting: (.recruiting, round.nextDeadline)
      case .training(let deadline): (.training, deadline)
      case .aggregating: (.aggregating, nil)
      case .calibrating: (.calibrating, nil)
      case .closed: (.finished, nil)
      }
    return ServerStatus(
      phase: phase, stage: round.key.stage, stages: plan.stages, round: round.key.round,
      rounds: plan.rounds(stage: round.key.stage), attempt: round.key.attempt, present: present.count,
      away: present.count - round.available,
      needed: round.clientsNeeded, cohort: round.participants, admitted: round.ledger.admitted.count,
      quorum: plan.round.quorum, since: since,
      until: deadline.map { date.addingTimeInterval(($0 - now).seconds) }, process: getpid(),
      notAsked: notAsked(at: now, date))
  }

  /// Clients that are here and are not asked to train, by name.
  private func notAsked(at now: Duration, _ date: Date) -> [ServerStatus.Silence]? {
    let resting = rests.filter { present.contains($0.key) }.map {
      ServerStatus.Silence(client: $0.key, reason: "its updates were refused too often", rounds: $0.value)
    }
    // Whole seconds, which stay the same from one look to the next.
    let start = date.timeIntervalSince1970 - now.seconds
    let absent = away.filter { present.contains($0.key) && $0.value.until > now }.map {
      ServerStatus.Silence(
        client: $0.key, reason: $0.value.reason,
        until: Date(timeIntervalSince1970: (start + $0.value.until.seconds).rounded()))
    }
    let all = (resting + absent).sorted { $0.client < $1.client }
    return all.isEmpty ? nil : Array(all.prefix(ServerStatus.mostSilences))
  }
}
