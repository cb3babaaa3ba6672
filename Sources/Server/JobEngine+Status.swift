import Federation
import Foundation

extension JobEngine {
  /// Returns the status at the time `now`, which corresponds to `date`.
  package func status(since: Date, at now: Duration, _ date: Date) -> ServerStatus {
    status(since: since, works: [:], at: now, date)
  }

  /// Returns the status with the clients' activities.
  func status(
    since: Date, works: [String: ClientWork], at now: Duration, _ date: Date
  ) -> ServerStatus {
    let (phase, deadline): (ServerStatus.Phase, Duration?) =
      switch round.phase {
      case .recruiting: (.recruiting, round.nextDeadline)
      // Work stops until clients arrive in place of those that declined.
      case .training where round.isWaiting: (.recruiting, round.nextDeadline)
      case .training(let deadline): (.training, deadline)
      case .aggregating: (.aggregating, nil)
      case .calibrating: (.calibrating, nil)
      case .closed: (.finished, nil)
      }
    func wall(_ time: Duration) -> Date { date.addingTimeInterval((time - now).seconds) }
    let awaited = awaited
    return ServerStatus(
      phase: phase, stage: round.key.stage, stages: plan.stages, round: round.key.round,
      rounds: curriculum.mostRounds(stage: round.key.stage), isOpen: curriculum.isOpen ? true : nil,
      attempt: round.key.attempt, present: present.count,
      away: present.count - round.available,
      needed: round.clientsNeeded, cohort: round.participants, admitted: round.ledger.admitted.count,
      quorum: plan.round.quorum, since: since,
      until: deadline.map(wall), process: getpid(), notAsked: notAsked(at: now, date),
      awaited: awaited.isEmpty
        ? nil
        : awaited.prefix(ServerStatus.mostSilences).map { client in
          let work = present.contains(client) ? works[client] : nil
          return ServerStatus.Awaited(
            client: client, activity: present.contains(client) ? work?.activity ?? .idle : nil,
            step: work?.progress?.step, steps: work?.progress?.steps)
        },
      awaitedCount: awaited.isEmpty ? nil : awaited.count,
      trainingEnd: Self.trainingEnd(of: awaited.filter(present.contains), works).map(wall))
  }

  /// The members of the cohort whose updates are outstanding or, while recruiting, the absent members of the last
  /// cohort; in natural order.
  private var awaited: [String] {
    switch round.phase {
    case .recruiting: lastCohort.filter { !present.contains($0) }
    case .training: lastCohort.filter(round.isOutstanding)
    case .aggregating, .calibrating, .closed: []
    }
  }

  /// Returns when the slowest client will have finished training; nil if one of the times is unknown.
  private static func trainingEnd(of clients: [String], _ works: [String: ClientWork]) -> Duration? {
    var latest: Duration?
    for client in clients {
      guard let work = works[client] else { return nil }
      // A client that sends has finished its training.
      if work.activity == .sending { continue }
      guard let end = work.trainingEnd else { return nil }
      latest = max(latest ?? end, end)
    }
    return latest
  }

  /// Returns the connected clients that are not asked to train, by name.
  private func notAsked(at now: Duration, _ date: Date) -> [ServerStatus.Silence]? {
    let resting = rests.filter { present.contains($0.key) }.map {
      ServerStatus.Silence(client: $0.key, reason: "its updates were rejected too often", rounds: $0.value)
    }
    // Rounded to seconds, so that repeated calls give the same value.
    let start = date.timeIntervalSince1970 - now.seconds
    let absent = away.filter { present.contains($0.key) && $0.value.until > now }.map {
      ServerStatus.Silence(
        client: $0.key, reason: $0.value.reason,
        until: Date(timeIntervalSince1970: (start + $0.value.until.seconds).rounded()))
    }
    let all = (resting + absent).sorted { $0.client.precedesNaturally($1.client) }
    return all.isEmpty ? nil : Array(all.prefix(ServerStatus.mostSilences))
  }
}
