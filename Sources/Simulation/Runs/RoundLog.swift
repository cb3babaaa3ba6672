import Server
import Synchronization

/// Collects the committed rounds of a run on their way to an observer.
final class RoundLog: Sendable {
  private let list = Mutex<[RoundSummary]>([])

  var rounds: [RoundSummary] { list.withLock { $0 } }

  /// A server's observer that passes everything on, and the log that it fills; `links` hear of rounds too.
  static func observing(
    _ links: Links?, _ observer: @escaping @Sendable (Experiment.Event) -> Void
  ) -> (@Sendable (ServerEvent) -> Void, RoundLog) {
    let log = RoundLog()
    return (
      { event in
        if case .committed(let round) = event {
          log.list.withLock { $0.append(round) }
          links?.note(round)
        }
        observer(.server(event))
      }, log
    )
  }
}
