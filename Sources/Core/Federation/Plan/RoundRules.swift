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

extension Plan {
  /// How numbers travel.
  package struct TrafficRules: Sendable, Hashable, Codable {
    /// How a client codes its update, where it can; one that cannot sends it plain. Default plain.
    package var codec: UpdateCodec
    /// The share of an update's values that top-k keeps, 0 … 1. Default 0.01: one in a hundred, as deep gradient
    /// compression begins with (arXiv 1712.01887).
    package var kept: Float
    /// How layers travel to a client that holds an earlier version. But for plain and float32 the global weights
    /// themselves are what is decoded, so that every client has the same. Default plain.
    package var layers: UpdateCodec

    package init(codec: UpdateCodec = .plain, kept: Float = 0.01, layers: UpdateCodec = .plain) {
      (self.codec, self.kept, self.layers) = (codec, kept, layers)
    }
  }
}

/// How an update's numbers travel, all of them as the difference to the round's weights, compressed with zlib.
package enum UpdateCodec: String, Sendable, Hashable, Codable, CaseIterable {
  /// The weights themselves, as they are and not compressed: what every client can send.
  case plain
  /// Exactly.
  case float32
  /// The upper half of a float32: 8 bits of precision.
  case bfloat16
  /// 255 and 15 levels a row, with stochastic rounding.
  case int8
  case int4
  /// The largest differences alone, as bfloat16; what is left out is added to the client's next update (error
  /// feedback, arXiv 1809.07599).
  case topK = "top-k"
}
