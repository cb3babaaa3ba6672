import Engine
import Federation
import Foundation
import Synchronization
import Wire

/// Feeds both sides of the protocol with invalid bytes: messages of real federations, truncated, with flipped bits,
/// spliced, with other lengths, and noise. Every input must be rejected or decoded, and a decoder must never hold more
/// than a frame.
package enum HostileBytes {
  package struct Outcome: Sendable, Encodable {
    package let inputs: Int
    /// The number of rejected inputs, and of frames decoded nevertheless.
    package let rejected: Int
    package let understood: Int
    /// The maximum number of bytes that a decoder held.
    package let mostPending: Int
  }

  /// Runs `inputs` inputs, which the seed determines.
  package static func run(inputs: Int, seed: UInt64) async throws -> Outcome {
    let corpus = try await corpus(seed)
    return try await TrainingThread.abandonable("inputs") { feed(inputs, of: corpus, seed: seed) }
  }

  private static func feed(_ inputs: Int, of corpus: [Data], seed: UInt64) -> Outcome {
    var random = RandomNumbers(seed, "hostile bytes")
    var (rejected, understood, most) = (0, 0, 0)
    for _ in 0..<inputs {
      let bytes = mutate(corpus, &random)
      var decoder = FrameDecoder(limit: random.chance(0.5) ? WireLimits.frame : WireLimits.frameBeforeHello)
      var offset = 0
      do throws(WireError) {
        while offset < bytes.count {
          let end = min(bytes.count, offset + 1 + random.below(bytes.count))
          decoder.append(bytes[(bytes.startIndex + offset)..<(bytes.startIndex + end)])
          offset = end
          while let frame = try decoder.next() {
            _ = try Message(frame)
            understood += 1
          }
          most = max(most, decoder.pending)
        }
      } catch {
        rejected += 1
      }
    }
    return Outcome(inputs: inputs, rejected: rejected, understood: understood, mostPending: most)
  }

  /// Returns the frames that federations of some seeds send.
  private static func corpus(_ seed: UInt64) async throws -> [Data] {
    let frames = Mutex([Data]())
    for offset in 0..<8 as Range<UInt64> {
      try await Check.run(seed: seed &+ offset) { frame in frames.withLock { $0.append(frame) } }
    }
    return frames.withLock { $0 }
  }

  private static func mutate(_ corpus: [Data], _ random: inout RandomNumbers) -> Data {
    var bytes = corpus[random.below(corpus.count)]
    for _ in 0...random.below(3) {
      switch random.below(6) {
      case 0: bytes = bytes.prefix(random.below(bytes.count + 1))
      case 1 where !bytes.isEmpty:
        let place = bytes.startIndex + random.below(bytes.count)
        bytes[place] ^= 1 << UInt8(random.below(8))
      case 2: bytes += corpus[random.below(corpus.count)]
      case 3:
        // Any length, mostly small ones.
        let length = UInt32(truncatingIfNeeded: random.next() >> UInt64(32 + random.below(32)))
        let head = Swift.withUnsafeBytes(of: length.bigEndian) { Data($0) }
        bytes = head + bytes.dropFirst(4)
      case 4:
        let noise = (0..<random.below(64)).map { _ in UInt8(truncatingIfNeeded: random.next() >> 32) }
        let place = bytes.startIndex + random.below(bytes.count + 1)
        bytes = bytes[..<place] + noise + bytes[place...]
      default: bytes = sealed(bytes, &random)
      }
    }
    return Data(bytes)
  }

  /// Returns a frame with another kind and head but a correct checksum, which the frame decoder does not reject.
  private static func sealed(_ bytes: Data, _ random: inout RandomNumbers) -> Data {
    var decoder = FrameDecoder(limit: WireLimits.frame)
    decoder.append(bytes)
    guard let frame = try? decoder.next() else { return bytes }
    var head = frame.head
    if !head.isEmpty {
      let place = head.startIndex + random.below(head.count)
      head[place] = UInt8(truncatingIfNeeded: random.next() >> 32)
    }
    return Frame(kind: UInt8(random.below(16)), head: head, payload: frame.payload).encoded()
  }
}
