import Support

extension Plan {
  /// Who takes part in a round, and when it is over.
  package struct RoundRules: Sendable, Hashable, Codable {
    /// Clients that are asked to train in a round. Default 4.
    package var cohort: Int
    /// Updates without which a round is not committed. Default 3/4 of the cohort, rounded up: one slow
    /// device in four does not hold up the rest, and yet most images are heard.
    package var quorum: Int
    /// Clients that must have joined before the first round. Default the cohort: it can be filled then.
    package var minimumClients: Int
    /// Clients that are asked beyond the cohort: once so many updates as the cohort has members are admitted,
    /// the others are told to stop. Default 0.
    package var overSelection: Int
    /// What becomes of an update that is not ready when its round is over. Default reject: whoever is told to
    /// stop can join the next round at once.
    package var stragglers: StragglerRule
    /// How long a round that has a quorum waits for the rest of its clients before it begins. Default 10 seconds:
    /// whoever is there comes back from a short break of its line in less.
    package var wait: TimeSpan
    /// How long a round waits for enough clients before that counts as a failed try. Default a day.
    package var timeout: TimeSpan
    /// How far an update may be from the round's weights, as a multiple of their length; 0 turns it off, which
    /// is the default: what is far depends on the rate.
    package var normLimit: Float
    /// How often a round is tried before the server gives up. Default 3: a bad moment passes, a fault stays.
    package var attempts: Int
    /// What a claim of samples counts for at most, as a weight; nil, the default, is ten times the lower median of
    /// the round's claims: a claim must not buy a majority.
    package var maxSamples: Int?
    /// How the clients' updates become one. Default mean, FedAvg's.
    package var aggregation: AggregationRule
    /// Updates that a trimmed mean leaves out at either end of every weight's values. Default 1.
    package var trim: Int
    /// How long the clients have for a round. Default 10 minutes, about the time of three epochs on a
    /// small device.
    package var deadline: TimeSpan

    /// A quorum or minimum of clients left out follows the cohort, and a wait the deadline.
    package init(
      cohort: Int = 4, quorum: Int? = nil, minimumClients: Int? = nil, overSelection: Int = 0,
      stragglers: StragglerRule = .reject, wait: TimeSpan? = nil,
      timeout: TimeSpan = .hours(24),
      normLimit: Float = 0, attempts: Int = 3, maxSamples: Int? = nil,
      aggregation: AggregationRule = .mean, trim: Int = 1, deadline: TimeSpan = .minutes(10)
    ) {
      self.cohort = cohort
      self.quorum = quorum ?? Self.quorum(cohort: cohort)
      self.minimumClients = minimumClients ?? cohort
      self.overSelection = overSelection
      self.stragglers = stragglers
      self.wait = wait ?? Self.wait(deadline: deadline)
      self.timeout = timeout
      self.normLimit = normLimit
      self.attempts = attempts
      self.maxSamples = maxSamples
      self.aggregation = aggregation
      self.trim = trim
      self.deadline = deadline
    }

    /// The quorum of a plan that names none.
    static func quorum(cohort: Int) -> Int { (3 * cohort + 3) / 4 }

    /// The wait of a plan that names none.
    static func wait(deadline: TimeSpan) -> TimeSpan { min(.seconds(10), deadline) }

    /// How long a round pauses before it is tried again, or those are asked again who declined, after so many pauses
    /// of the kind: a second, then twice as long each time, up to the deadline.
    package func pause(after count: Int) -> Duration { min(.seconds(1 << min(count, 30)), deadline.duration) }
  }
}
