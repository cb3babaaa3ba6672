import Support

extension Plan {
  /// The participants of a round, and its end.
  package struct RoundRules: Sendable, Hashable, Codable {
    /// The number of clients assigned in a round. Default 4.
    package var cohort: Int
    /// The minimum number of updates for a commit. Default 3/4 of the cohort, rounded up, so that a slow device in four
    /// does not delay the others, but most images contribute.
    package var quorum: Int
    /// The number of clients that must join before the first round. Default the cohort.
    package var minimumClients: Int
    /// The number of clients assigned in addition to the cohort. When the cohort's number of updates is admitted, the
    /// other clients are released. Default 0.
    package var overSelection: Int
    /// The treatment of updates that are not ready when their round ends. Default reject, so that the released client
    /// can join the next round immediately.
    package var stragglers: StragglerRule
    /// The time that a round with a quorum waits for further clients before it begins. Default 10 seconds, within which
    /// clients return after a short loss of connection.
    package var wait: TimeSpan
    /// The time that a round waits for enough clients before the attempt fails. Default a day.
    package var timeout: TimeSpan
    /// The maximum distance of an update from the round's weights, as a multiple of their norm; 0 disables it. Default
    /// 0, because a useful limit depends on the learning rate.
    package var normLimit: Float
    /// The number of attempts at a round before the server gives up. Default 3: temporary faults pass, permanent ones
    /// do not.
    package var attempts: Int
    /// The maximum number of samples that count as a client's weight; nil, the default, means ten times the lower
    /// median of the round's claims, so that a claim cannot gain a majority.
    package var maxSamples: Int?
    /// The rule that combines the clients' updates. Default mean, as in FedAvg.
    package var aggregation: AggregationRule
    /// The number of updates that a trimmed mean omits at each end, per weight. Default 1.
    package var trim: Int
    /// The time limit for clients in a round. Default 10 minutes, about the duration of three epochs on a small device.
    package var deadline: TimeSpan

    /// Creates rules. An omitted quorum or minimum of clients follows the cohort, and an omitted wait the deadline.
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

    /// Returns the default quorum.
    static func quorum(cohort: Int) -> Int { (3 * cohort + 3) / 4 }

    /// Returns the default wait.
    static func wait(deadline: TimeSpan) -> TimeSpan { min(.seconds(10), deadline) }

    /// Returns the pause before the next attempt at a round, or before declined clients are asked again, after `count`
    /// pauses: a second, doubling each time, up to the deadline.
    package func pause(after count: Int) -> Duration { min(.seconds(1 << min(count, 30)), deadline.duration) }
  }
}

extension Plan {
  /// The encoding of updates and layers.
  package struct TrafficRules: Sendable, Hashable, Codable {
    /// The codec of updates for clients that support it; others send plain updates. Default plain.
    package var codec: UpdateCodec
    /// The share of an update's values that top-k keeps, 0 … 1. Default 0.01, as at the start of deep gradient
    /// compression (arXiv 1712.01887).
    package var kept: Float
    /// The codec of layers for clients that hold an earlier version. Except with plain and float32, the decoded values
    /// become the global weights, so that all clients have the same. Default plain.
    package var layers: UpdateCodec

    package init(codec: UpdateCodec = .plain, kept: Float = 0.01, layers: UpdateCodec = .plain) {
      (self.codec, self.kept, self.layers) = (codec, kept, layers)
    }
  }
}

/// The codec of an update. All codecs except plain encode the difference to the round's weights and compress it with
/// zlib.
package enum UpdateCodec: String, Sendable, Hashable, Codable, CaseIterable {
  /// The weights themselves, uncompressed; supported by every client.
  case plain
  /// The exact difference.
  case float32
  /// The upper half of a float32: 8 bits of precision.
  case bfloat16
  /// 255 and 15 levels per row, with stochastic rounding.
  case int8
  case int4
  /// The largest differences only, as bfloat16; the omitted ones are added to the client's next update (error feedback,
  /// arXiv 1809.07599).
  case topK = "top-k"
}
