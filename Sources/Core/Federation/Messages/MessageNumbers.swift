import Engine

/// A number in a message that is out of bounds.
package struct BadNumber: Error, Sendable, Hashable, CustomStringConvertible {
  /// The name of the field, such as `offer.metrics.alignment`.
  package let field: String
  /// ``Rejection/notFinite`` or ``Rejection/overLimit``.
  package let rejection: Rejection
  package let description: String
}

/// The bounds of numbers in messages. Receivers may apply stricter checks.
package enum NumberBounds {
  /// Whole numbers that every JSON parser reads exactly.
  package static let whole = 0...(1 << 53 - 1)
  /// The samples of an update; more would outweigh all other clients.
  package static let samples = 1...PlanLimits.samples
  /// Losses and monitors. Typical values are below 100; a plan's terms and weights allow thousands.
  package static let figure = -1e6...1e6
  /// Places in a schedule.
  package static let share = 0...1.0
  /// Durations in seconds, up to a year.
  package static let seconds = 0...365 * 86_400.0
  /// Bytes of layers and updates, and offsets in them: far above any model, and sums of a million of them do not
  /// overflow.
  package static let bytes = 0...1 << 40
}

extension Message {
  /// The first number of the message that is out of bounds; nil if there is none. Receivers check it before they use a
  /// message, so that all numbers of a peer are within these bounds.
  package var badNumber: BadNumber? {
    var check = NumberCheck(name)
    switch self {
    case .hello(let hello): check.whole("protocol", hello.protocol)
    case .offer(let offer): check.offer(offer)
    case .decline(let decline):
      check.key(decline.key)
      check.whole("seconds", decline.seconds)
    case .heartbeat(let heartbeat):
      check.whole("step", heartbeat.step)
      check.whole("steps", heartbeat.steps)
      check.whole("memory", heartbeat.memory)
      if let validation = heartbeat.validation { check.validation(validation) }
    case .welcome(let welcome):
      check.real("heartbeatSeconds", welcome.heartbeatSeconds, NumberBounds.seconds)
      check.bytes("chunkBytes", welcome.chunkBytes)
    case .assignment(let assignment):
      check.key(assignment.key)
      check.whole("seed", Int(clamping: assignment.seed))
      check.real("schedule.from", Double(assignment.schedule.from), NumberBounds.share)
      check.real("schedule.to", Double(assignment.schedule.to), NumberBounds.share)
      for part in assignment.parts { check.bytes("parts.bytes", part.bytes) }
      for chain in assignment.deltaChains ?? [] {
        for step in chain.steps { check.bytes("deltaChains.steps.bytes", step.bytes) }
        check.bytes("deltaChains.fullDelta.bytes", chain.fullDelta?.bytes)
      }
    case .fetch(let fetch): check.bytes("offset", fetch.offset)
    case .layer(let layer, _):
      check.bytes("offset", layer.offset)
      check.bytes("total", layer.total)
    case .request(let request):
      check.key(request.key)
      check.bytes("offset", request.offset)
    case .update(let update, _): check.bytes("offset", update.offset)
    case .acknowledgement(let verdict): check.key(verdict.key)
    case .release(let release): check.key(release.key)
    case .enrol, .certificate, .goodbye: break
    }
    return check.found
  }
}

extension UpdateOffer {
  /// The first number that is out of bounds; nil if there is none.
  package var badNumber: BadNumber? { Message.offer(self).badNumber }
}

/// Checks the numbers of a message and keeps the first that is out of bounds.
private struct NumberCheck {
  private let message: String
  private(set) var found: BadNumber?

  init(_ message: String) { self.message = message }

  mutating func key(_ key: RoundKey, of field: String = "") {
    whole("\(field)key.stage", key.stage)
    whole("\(field)key.round", key.round)
    whole("\(field)key.attempt", key.attempt)
  }

  mutating func offer(_ offer: UpdateOffer) {
    key(offer.key)
    real("loss", Double(offer.loss), NumberBounds.figure)
    real("seconds", offer.seconds, NumberBounds.seconds)
    for metric in Metric.ofClients {
      real("metrics.\(metric.name)", offer.metrics[metric.name].map { Double($0) }, NumberBounds.figure)
    }
    guard !offer.isEmpty else { return }
    whole("samples", offer.samples, NumberBounds.samples)
    whole("steps", offer.steps, 1...NumberBounds.whole.upperBound)
  }

  mutating func validation(_ validation: Validation) {
    key(validation.key, of: "validation.")
    whole("validation.images", validation.images, NumberBounds.samples)
    // A part of the images.
    let part = 0...max(validation.images, 0)
    whole("validation.majority", validation.majority, 1...max(validation.images, 1))
    for correct in validation.correct { whole("validation.correct", correct, part) }
  }

  mutating func bytes(_ field: String, _ value: Int?) { whole(field, value, NumberBounds.bytes) }

  mutating func whole(_ field: String, _ value: Int?, _ bounds: ClosedRange<Int> = NumberBounds.whole) {
    guard let value, !bounds.contains(value) else { return }
    // The largest number stands for any invalid number.
    let reason = value == .max ? "is not a whole number of" : "is \(value), and must be"
    reject(field, .overLimit, "\(reason) \(bounds.lowerBound) to \(bounds.upperBound)")
  }

  mutating func real(_ field: String, _ value: Double?, _ bounds: ClosedRange<Double>) {
    guard let value, !bounds.contains(value) else { return }
    guard value.isFinite else { return reject(field, .notFinite, "is not a finite number") }
    reject(field, .overLimit, "is \(value), and must be \(bounds.lowerBound) to \(bounds.upperBound)")
  }

  private mutating func reject(_ field: String, _ rejection: Rejection, _ reason: String) {
    guard found == nil else { return }
    let field = "\(message).\(field)"
    found = BadNumber(field: field, rejection: rejection, description: "\(field) \(reason)")
  }
}

// MARK: - Decoding

extension UpdateOffer {
  private enum Field: String, CodingKey {
    case key, base, digest, bytes, samples, steps, loss, seconds, metrics, codec
  }

  private struct MetricKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  /// Decodes numbers too large for their type as the largest value, so that they are rejected by name like others that
  /// are out of bounds. Unknown metrics are ignored.
  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Field.self)
    var metrics: [String: Float] = [:]
    if values.contains(.metrics), try !values.decodeNil(forKey: .metrics) {
      let own = try values.nestedContainer(keyedBy: MetricKey.self, forKey: .metrics)
      for name in Metric.ofClients.map(\.name) where own.contains(MetricKey(stringValue: name)) {
        metrics[name] = Float(try own.real(MetricKey(stringValue: name)))
      }
    }
    self.init(
      key: try values.decode(RoundKey.self, forKey: .key),
      base: try values.decode(Digest.self, forKey: .base),
      digest: try values.decode(Digest.self, forKey: .digest), bytes: try values.whole(.bytes),
      samples: try values.whole(.samples), steps: try values.whole(.steps),
      loss: Float(try values.real(.loss)),
      seconds: try values.real(.seconds), metrics: metrics,
      codec: try values.decodeIfPresent(UpdateCodec.self, forKey: .codec))
  }
}

extension SchedulePlace {
  private enum Field: String, CodingKey {
    case from, to
  }

  /// Decodes numbers too large for their type as infinite, so that they are named.
  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Field.self)
    self.init(from: Float(try values.real(.from)), to: Float(try values.real(.to)))
  }
}

extension UpdateOffer {
  package func encode(to encoder: any Swift.Encoder) throws {
    var container = encoder.container(keyedBy: Field.self)
    try container.encode(key, forKey: .key)
    try container.encode(base, forKey: .base)
    try container.encode(digest, forKey: .digest)
    try container.encode(bytes, forKey: .bytes)
    try container.encode(samples, forKey: .samples)
    try container.encode(steps, forKey: .steps)
    try container.encode(loss, forKey: .loss)
    try container.encode(seconds, forKey: .seconds)
    if !metrics.isEmpty { try container.encode(metrics, forKey: .metrics) }
    try container.encodeIfPresent(codec, forKey: .codec)
  }
}

extension Heartbeat {
  private enum Field: String, CodingKey {
    case step, steps, memory, validation
  }

  /// Decodes numbers too large for their type as the largest value, so that they are named in the rejection.
  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Field.self)
    self.init(
      step: try values.wholeIfPresent(.step), steps: try values.wholeIfPresent(.steps),
      memory: try values.wholeIfPresent(.memory),
      validation: try values.decodeIfPresent(Validation.self, forKey: .validation))
  }
}

extension Validation {
  private enum Field: String, CodingKey {
    case key, images, majority, correct
  }

  /// Decodes numbers too large for their type as the largest value, so that they are named in the rejection.
  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Field.self)
    var list = try values.nestedUnkeyedContainer(forKey: .correct)
    var correct: [Int] = []
    // Ends at the first number that fits no type, because that is rejected and the others do not matter.
    while !list.isAtEnd {
      do {
        correct.append(try list.decode(Int.self))
      } catch let error as DecodingError {
        guard case .dataCorrupted = error else { throw error }
        correct.append(.max)
        break
      } catch {
        correct.append(.max)
        break
      }
    }
    self.init(
      key: try values.decode(RoundKey.self, forKey: .key), images: try values.whole(.images),
      majority: try values.whole(.majority), correct: correct)
  }
}

extension Decline {
  private enum Field: String, CodingKey {
    case key, reason, seconds
  }

  /// Decodes numbers too large for their type as the largest value, so that they are named in the rejection.
  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Field.self)
    self.init(
      key: try values.decode(RoundKey.self, forKey: .key),
      reason: try values.decode(String.self, forKey: .reason), seconds: try values.wholeIfPresent(.seconds))
  }
}

extension KeyedDecodingContainer {
  /// Decodes a number; infinity if it is too large for Double.
  fileprivate func real(_ key: Key) throws -> Double {
    try number(key, orElse: .infinity)
  }

  /// Decodes a whole number; the largest value if it is too large for Int or not whole.
  fileprivate func whole(_ key: Key) throws -> Int { try number(key, orElse: .max) }

  fileprivate func wholeIfPresent(_ key: Key) throws -> Int? {
    guard contains(key), try !decodeNil(forKey: key) else { return nil }
    return try whole(key)
  }

  /// The decoder throws undocumented errors for numbers that fit no type, and DecodingError for other failures.
  private func number<Number: Decodable>(_ key: Key, orElse other: Number) throws -> Number {
    do {
      return try decode(Number.self, forKey: key)
    } catch DecodingError.dataCorrupted {
      return other
    } catch let error as DecodingError {
      throw error
    } catch {
      return other
    }
  }
}
