import Engine
import Federation
import Foundation
import Support
import Wire

extension Data {
  static func random(_ numbers: inout RandomNumbers, count: Int) -> Data {
    var data = Data(count: count)
    for index in 0..<count { data[index] = UInt8(truncatingIfNeeded: numbers.next() >> 32) }
    return data
  }
}

extension Frame {
  /// Returns a frame with a random kind, head and payload, together of fewer bytes than `count`.
  static func random(_ numbers: inout RandomNumbers, upTo count: Int) -> Frame {
    let head = numbers.below(count)
    return Frame(
      kind: UInt8(numbers.below(256)), head: .random(&numbers, count: head),
      payload: .random(&numbers, count: numbers.below(count - head)))
  }
}

/// A random message of the protocol; each kind has the same probability.
enum RandomMessage {
  static let kinds = 15

  static func make(kind: Int, _ numbers: inout RandomNumbers) -> Message {
    switch kind {
    case 0:
      .hello(
        numbers.chance(0.5)
          ? Hello(name: text(&numbers), software: text(&numbers))
          : Hello(
            name: text(&numbers), software: text(&numbers), codecs: UpdateCodec.allCases,
            layers: [digest(&numbers), digest(&numbers)]))
    case 1: .welcome(welcome(&numbers))
    case 2: .assignment(assignment(&numbers))
    case 3: .fetch(Fetch(digest: digest(&numbers), offset: count(&numbers)))
    case 4:
      .layer(
        LayerData(digest: digest(&numbers), offset: count(&numbers), total: count(&numbers)),
        .random(&numbers, count: numbers.below(500)))
    case 5: .offer(offer(&numbers))
    case 6:
      .request(UpdateRequest(key: key(&numbers), digest: digest(&numbers), offset: count(&numbers)))
    case 7:
      .update(
        UpdateData(digest: digest(&numbers), offset: count(&numbers)),
        .random(&numbers, count: numbers.below(500)))
    case 8:
      .acknowledgement(
        Acknowledgement(
          key: key(&numbers), rejection: (Rejection.allCases + [nil]).randomElement(using: &numbers)!)
      )
    case 9: .release(Release(key: key(&numbers)))
    case 10:
      .heartbeat(
        numbers.chance(0.5)
          ? Heartbeat()
          : Heartbeat(
            step: count(&numbers), steps: count(&numbers), memory: count(&numbers),
            validation: numbers.chance(0.5) ? validation(&numbers) : nil))
    case 11:
      .decline(
        Decline(
          key: key(&numbers), reason: text(&numbers), seconds: numbers.chance(0.5) ? count(&numbers) : nil))
    case 12:
      .enrol(EnrolmentRequest(name: text(&numbers), secret: text(&numbers), request: text(&numbers)))
    case 13: .certificate(IssuedCertificate(certificate: text(&numbers)))
    default:
      .goodbye(
        Goodbye(
          [.finished, .stopping, .protocolError, .rejected, .failed].randomElement(using: &numbers)!,
          text(&numbers)))
    }
  }

  private static func validation(_ numbers: inout RandomNumbers) -> Validation {
    let images = 1 + numbers.below(1000)
    return Validation(
      key: key(&numbers), images: images, majority: 1 + numbers.below(images),
      correct: (0..<numbers.below(4)).map { _ in numbers.below(images + 1) })
  }

  static func key(_ numbers: inout RandomNumbers) -> RoundKey {
    RoundKey(stage: numbers.below(300), round: numbers.below(100_000), attempt: numbers.below(9))
  }

  static func digest(_ numbers: inout RandomNumbers) -> Digest { Digest(of: .random(&numbers, count: 8)) }

  static func offer(_ numbers: inout RandomNumbers) -> UpdateOffer {
    UpdateOffer(
      key: key(&numbers), base: digest(&numbers), digest: digest(&numbers), bytes: count(&numbers),
      samples: count(&numbers), steps: count(&numbers), loss: numbers.normal(),
      seconds: Double(numbers.normal()) * 1e3,
      metrics: Dictionary(
        uniqueKeysWithValues: Metric.ofClients.filter { _ in numbers.chance(0.7) }.map {
          ($0.name, numbers.normal())
        }),
      codec: UpdateCodec.allCases.randomElement(using: &numbers))
  }

  private static func assignment(_ numbers: inout RandomNumbers) -> Assignment {
    let parts = (0..<numbers.below(20)).map { _ in
      PartVersion(name: text(&numbers), digest: digest(&numbers), bytes: count(&numbers))
    }
    let chains = parts.prefix(numbers.below(3)).map { part in
      DeltaChain(
        to: part.digest, steps: [step(&numbers, from: digest(&numbers))],
        fullDelta: numbers.chance(0.5) ? step(&numbers, from: nil) : nil)
    }
    return Assignment(
      key: key(&numbers), seed: numbers.next() >> 11,
      schedule: SchedulePlace(from: numbers.uniform(), to: numbers.uniform()),
      parts: parts, trained: parts.dropFirst(numbers.below(5)).map(\.name),
      others: numbers.chance(0.5) ? [] : [digest(&numbers)],
      codec: UpdateCodec.allCases.randomElement(using: &numbers), deltaChains: chains)
  }

  private static func step(_ numbers: inout RandomNumbers, from version: Digest?) -> DeltaChain.Step {
    DeltaChain.Step(from: version, digest: digest(&numbers), bytes: count(&numbers), codec: .int8)
  }

  private static func welcome(_ numbers: inout RandomNumbers) -> Welcome {
    var plan = Plan(
      name: text(&numbers), seed: numbers.next(),
      encoder: EncoderConfiguration(image: 32, patch: 4, width: 96, depth: 4, heads: 3))
    plan.method.temperature = numbers.uniform()
    plan.method.roundsPerStage = numbers.chance(0.5) ? .each(7) : .list([1, 2, 3, 4])
    plan.method.strategy = Strategy.allCases.randomElement(using: &numbers)!
    if numbers.chance(0.5) { plan.method.calibration = Plan.Calibration(data: text(&numbers), every: .stage) }
    plan.local.learningRate = numbers.uniform()
    plan.round.deadline = TimeSpan(milliseconds: 1 + numbers.below(1_000_000))
    plan.augmentation.blurKernel = numbers.chance(0.5) ? 5 : nil
    return Welcome(plan: plan, heartbeatSeconds: Double(numbers.below(100)), chunkBytes: count(&numbers))
  }

  private static func count(_ numbers: inout RandomNumbers) -> Int { numbers.below(1 << 40) }

  private static func text(_ numbers: inout RandomNumbers) -> String {
    let letters = Array("abcXYZ09 ._-/\\\"'{}:,äß日本🙂\n\t\u{2028}\u{0}")
    return String((0..<numbers.below(20)).map { _ in letters.randomElement(using: &numbers)! })
  }
}
