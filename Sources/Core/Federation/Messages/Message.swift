import Engine
import Foundation
import Support

/// The messages between clients and server (docs/protocol.md). Bulk data follows the head.
package enum Message: Sendable, Hashable {
  // Sent by clients.
  case hello(Hello)
  case fetch(Fetch)
  case offer(UpdateOffer)
  case update(UpdateData, Data)
  case decline(Decline)
  case enrol(EnrolmentRequest)

  // Sent by the server.
  case welcome(Welcome)
  case assignment(Assignment)
  case layer(LayerData, Data)
  case request(UpdateRequest)
  case acknowledgement(Acknowledgement)
  case release(Release)
  case certificate(IssuedCertificate)

  // Sent by both.
  case heartbeat(Heartbeat)
  case goodbye(Goodbye)
}

/// The first message of a client.
package struct Hello: Sendable, Hashable, Codable {
  /// The version of the protocol; currently 1.
  package var `protocol`: Int
  /// The name, unique in the federation: 1 … 64 letters, digits, `.`, `_` and `-`.
  @ForeignText package var name: String
  /// The software, for the log; at most 64 characters.
  @ForeignText package var software: String
  /// The names of the codecs that the client supports for updates (``UpdateCodec``); nil means only plain. Unknown
  /// names are ignored.
  package var codecs: [String]?
  /// The digests of layers that the client holds, the latest first, at most ``mostLayers``.
  package var layers: [Digest]?

  package static let currentProtocol = 1
  /// The maximum number of layers, with which a hello is well below the frame limit of unauthenticated peers.
  package static let mostLayers = 40

  package init(name: String, software: String, codecs: [UpdateCodec]? = nil, layers: [Digest]? = nil) {
    self.protocol = Self.currentProtocol
    self.codecs = codecs?.map(\.rawValue)
    self.layers = layers.map { Array($0.prefix(Self.mostLayers)) }
    (self.name, self.software) = (name, software)
  }

  /// Whether a name is valid; names are used in paths, logs and tables.
  package static func isValid(name: String) -> Bool {
    !name.isEmpty && name.utf8.count <= 64 && name != "." && name != ".."
      && name.utf8.allSatisfy {
        switch $0 {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
          true
        default: false
        }
      }
  }
}

/// The server's answer to a hello.
package struct Welcome: Sendable, Hashable, Codable {
  /// The whole plan.
  package var plan: Plan
  /// The interval of heartbeats of both sides; a connection ends after three intervals without a sign of life.
  package var heartbeatSeconds: Double
  /// The maximum bytes of a layer or an update per frame.
  package var chunkBytes: Int

  package init(plan: Plan, heartbeatSeconds: Double, chunkBytes: Int) {
    (self.plan, self.heartbeatSeconds, self.chunkBytes) = (plan, heartbeatSeconds, chunkBytes)
  }
}

/// The work of a client in a round.
package struct Assignment: Sendable, Hashable, Codable {
  package var key: RoundKey
  /// The seed of all random choices of the client's training; below 2^53, so that every JSON parser reads it exactly.
  package var seed: UInt64
  /// The part of the stage's learning rate schedule that this training covers.
  package var schedule: SchedulePlace
  /// The versions of the parts of the stage's model, in layout order.
  package var parts: [PartVersion]
  /// The names of the trained parts; an update contains their weights in this order.
  package var trained: [String]
  /// The digests of parts of the stage's model that this client does not use in this round, but should keep.
  package var others: [Digest]
  /// The codec of the update; nil means plain.
  package var codec: UpdateCodec?
  /// Delta chains to some of the parts, which are shorter than the parts, from versions that a client may hold.
  package var deltaChains: [DeltaChain]?

  package init(
    key: RoundKey, seed: UInt64, schedule: SchedulePlace, parts: [PartVersion], trained: [String],
    others: [Digest] = [], codec: UpdateCodec? = nil, deltaChains: [DeltaChain] = []
  ) {
    self.codec = codec == .plain ? nil : codec
    self.deltaChains = deltaChains.isEmpty ? nil : deltaChains
    (self.key, self.seed, self.schedule) = (key, seed, schedule)
    (self.parts, self.trained, self.others) = (parts, trained, others)
  }
}

/// Requests the weights of a version from an offset.
package struct Fetch: Sendable, Hashable, Codable {
  package var digest: Digest
  package var offset: Int

  package init(digest: Digest, offset: Int = 0) { (self.digest, self.offset) = (digest, offset) }
}

/// A piece of a version's weights; the bytes follow the head.
package struct LayerData: Sendable, Hashable {
  package var digest: Digest
  package var offset: Int
  /// The total number of bytes of the version.
  package var total: Int

  package init(digest: Digest, offset: Int, total: Int) {
    (self.digest, self.offset, self.total) = (digest, offset, total)
  }
}

/// Offers an update; its bytes are sent when the server requests them. An update without samples has no bytes: the
/// client has no images left for the stage of a cascade, and takes no part.
package struct UpdateOffer: Sendable, Hashable, Codable {
  package var key: RoundKey
  /// The snapshot on which the training was based: ``Snapshot/base(of:)`` of the assignment's parts.
  package var base: Digest
  /// The digest of the update's bytes.
  package var digest: Digest
  package var bytes: Int
  /// The number of images used for training.
  package var samples: Int
  package var steps: Int
  /// The mean over the steps.
  package var loss: Float
  /// The duration of the training.
  package var seconds: Double
  /// The metrics that the client measured, of ``Metric/ofClients``, by name.
  package var metrics: [String: Float]
  /// The codec of the bytes; nil means plain.
  package var codec: UpdateCodec?

  package init(
    key: RoundKey, base: Digest, digest: Digest, bytes: Int, samples: Int, steps: Int, loss: Float,
    seconds: Double, metrics: [String: Float] = [:], codec: UpdateCodec? = nil
  ) {
    self.codec = codec == .plain ? nil : codec
    (self.key, self.base, self.digest, self.bytes) = (key, base, digest, bytes)
    (self.samples, self.steps, self.loss, self.seconds) = (samples, steps, loss, seconds)
    self.metrics = metrics
  }

  /// Whether the client has no images left, and takes no part.
  package var isEmpty: Bool { samples == 0 && bytes == 0 && steps == 0 }

  /// Creates the offer of a client without images left for a round.
  package init(emptyFor key: RoundKey, base: Digest) {
    self.init(
      key: key, base: base, digest: Digest(of: Data()), bytes: 0, samples: 0, steps: 0, loss: 0, seconds: 0)
  }

  /// The metrics of the last batch that tell a collapse; nil where one of them is missing.
  package var monitors: CollapseMonitors? {
    get { CollapseMonitors { metrics[$0.name] } }
    set { for (metric, value) in CollapseMonitors.metrics(newValue) { metrics[metric.name] = value } }
  }
}

/// The request of a new device for its certificate, with a one-time code. It is the only message of the connection.
package struct EnrolmentRequest: Sendable, Hashable, Codable {
  /// The name in the code.
  @ForeignText package var name: String
  /// The code's secret, 16 characters.
  package var secret: String
  /// A PKCS #10 request in PEM; the key never leaves the device.
  package var request: String

  package init(name: String, secret: String, request: String) {
    (self.name, self.secret, self.request) = (name, secret, request)
  }
}

/// The answer to an ``EnrolmentRequest``.
package struct IssuedCertificate: Sendable, Hashable, Codable {
  /// The certificate in PEM.
  package var certificate: String

  package init(certificate: String) { self.certificate = certificate }
}

/// Declines a round, because the device is not available for training.
package struct Decline: Sendable, Hashable, Codable {
  package var key: RoundKey
  /// The reason, for the log; at most 200 characters.
  @ForeignText package var reason: String
  /// The time for which the client expects to decline further rounds; nil if only this round is declined.
  package var seconds: Int?

  package init(key: RoundKey, reason: String, seconds: Int? = nil) {
    (self.key, self.reason, self.seconds) = (key, reason, seconds)
  }
}

/// Requests the bytes of an offered update from an offset.
package struct UpdateRequest: Sendable, Hashable, Codable {
  package var key: RoundKey
  package var digest: Digest
  package var offset: Int

  package init(key: RoundKey, digest: Digest, offset: Int = 0) {
    (self.key, self.digest, self.offset) = (key, digest, offset)
  }
}

/// A piece of an update; the bytes follow the head.
package struct UpdateData: Sendable, Hashable {
  package var digest: Digest
  package var offset: Int

  package init(digest: Digest, offset: Int) { (self.digest, self.offset) = (digest, offset) }
}

/// The server's decision on an update, which is stored before this is sent.
package struct Acknowledgement: Sendable, Hashable, Codable {
  package var key: RoundKey
  /// The reason of the rejection; nil if the update is admitted.
  package var rejection: Rejection?

  package init(key: RoundKey, rejection: Rejection? = nil) { (self.key, self.rejection) = (key, rejection) }
}

/// Informs a client that its work for a round is no longer needed.
package struct Release: Sendable, Hashable, Codable {
  package var key: RoundKey

  package init(key: RoundKey) { self.key = key }
}

/// A sign of life, with the progress of a client that trains.
package struct Heartbeat: Sendable, Hashable, Codable {
  package var step: Int?
  package var steps: Int?
  /// The resident memory of the client's process in bytes, for monitoring; nil if it is not reported.
  package var memory: Int?
  /// The result of a validation, in the first heartbeat after it.
  package var validation: Validation?

  package init(
    step: Int? = nil, steps: Int? = nil, memory: Int? = nil, validation: Validation? = nil
  ) {
    (self.step, self.steps, self.memory, self.validation) = (step, steps, memory, validation)
  }
}

/// The answers of a classification's model to a client's own labelled images, as numbers only.
package struct Validation: Sendable, Hashable, Codable {
  /// The round whose assignment brought the model.
  package var key: RoundKey
  /// The number of images, and of those of the most frequent class among them.
  package var images: Int
  package var majority: Int
  /// The number of images that each exit of the model classifies correctly, by depth.
  package var correct: [Int]

  package init(key: RoundKey, images: Int, majority: Int, correct: [Int]) {
    (self.key, self.images, self.majority, self.correct) = (key, images, majority, correct)
  }
}

/// The last message of a connection.
package struct Goodbye: Sendable, Hashable, Codable {
  package enum Reason: String, Sendable, Hashable, Codable {
    /// The job is finished.
    case finished
    /// The sender stops; the peer may reconnect later.
    case stopping
    /// The peer sent invalid bytes or messages.
    case protocolError
    /// The server rejects this client.
    case rejected
    /// The server abandoned the job.
    case failed
  }

  package var reason: Reason
  @ForeignText package var detail: String

  package init(_ reason: Reason, _ detail: String = "") { (self.reason, self.detail) = (reason, detail) }
}
