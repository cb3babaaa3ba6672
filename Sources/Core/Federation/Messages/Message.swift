import Engine
import Foundation
import Support

/// What clients and server say to each other (docs/protocol.md). Bulk bytes travel beside the head.
package enum Message: Sendable, Hashable {
  // From a client.
  case hello(Hello)
  case fetch(Fetch)
  case offer(UpdateOffer)
  case update(UpdateData, Data)
  case decline(Decline)
  case enrol(EnrolmentRequest)

  // From the server.
  case welcome(Welcome)
  case assignment(Assignment)
  case layer(LayerData, Data)
  case request(UpdateRequest)
  case acknowledgement(Acknowledgement)
  case release(Release)
  case certificate(IssuedCertificate)

  // From either.
  case heartbeat(Heartbeat)
  case goodbye(Goodbye)
}

/// A client's first words.
package struct Hello: Sendable, Hashable, Codable {
  /// The protocol's version; this is 1.
  package var `protocol`: Int
  /// Unique in the federation, 1 … 64 letters, digits, `.`, `_` and `-`.
  @ForeignText package var name: String
  /// For the log, at most 64 characters.
  @ForeignText package var software: String
  /// What the client can code its updates with (``UpdateCodec``); nil: plain alone. Names that are not known are
  /// passed over.
  package var codecs: [String]?
  /// Digests of layers that the client holds, the latest first, ``mostLayers`` at most.
  package var layers: [Digest]?

  package static let currentProtocol = 1
  /// With as many a hello is well below the longest that an unauthenticated peer may send.
  package static let mostLayers = 40

  package init(name: String, software: String, codecs: [UpdateCodec]? = nil, layers: [Digest]? = nil) {
    self.protocol = Self.currentProtocol
    self.codecs = codecs?.map(\.rawValue)
    self.layers = layers.map { Array($0.prefix(Self.mostLayers)) }
    (self.name, self.software) = (name, software)
  }

  /// Whether a name may be used: it stands in paths, logs and tables.
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
  /// The whole plan: what to train and how.
  package var plan: Plan
  /// How often either side speaks at least; three times that without a sign of life ends the connection.
  package var heartbeatSeconds: Double
  /// Bytes of a layer or an update in one frame at most.
  package var chunkBytes: Int

  package init(plan: Plan, heartbeatSeconds: Double, chunkBytes: Int) {
    (self.plan, self.heartbeatSeconds, self.chunkBytes) = (plan, heartbeatSeconds, chunkBytes)
  }
}

/// A client's work in a round.
package struct Assignment: Sendable, Hashable, Codable {
  package var key: RoundKey
  /// Every random choice of the client's training follows from it; below 2^53, so that any JSON reader
  /// keeps it exact.
  package var seed: UInt64
  /// The part of the stage's learning rate schedule that this training covers.
  package var schedule: SchedulePlace
  /// The model of the stage, part by part, in layout order.
  package var parts: [PartVersion]
  /// The names of the parts that train; an update is their weights, one after the other in this order.
  package var trained: [String]
  /// Digests of parts of the stage's model that this client does without this time: worth keeping.
  package var others: [Digest]
  /// How the update is to be coded; nil: plain.
  package var codec: UpdateCodec?
  /// Delta chains to some of the parts, shorter than these: differences to versions that a client may hold.
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

/// Asks for the weights of a version, from an offset on.
package struct Fetch: Sendable, Hashable, Codable {
  package var digest: Digest
  package var offset: Int

  package init(digest: Digest, offset: Int = 0) { (self.digest, self.offset) = (digest, offset) }
}

/// A piece of a version's weights; the bytes follow the head.
package struct LayerData: Sendable, Hashable, Codable {
  package var digest: Digest
  package var offset: Int
  /// The length of the whole.
  package var total: Int

  package init(digest: Digest, offset: Int, total: Int) {
    (self.digest, self.offset, self.total) = (digest, offset, total)
  }
}

/// Says that an update is ready; its bytes are sent when the server asks for them.
package struct UpdateOffer: Sendable, Hashable, Codable {
  package var key: RoundKey
  /// The snapshot that was trained from: ``Snapshot/base(of:)`` of the assignment's parts.
  package var base: Digest
  /// Of the update's bytes.
  package var digest: Digest
  package var bytes: Int
  /// Images that the client trained on.
  package var samples: Int
  package var steps: Int
  /// Mean over the steps.
  package var loss: Float
  /// What the training took.
  package var seconds: Double
  /// Those of ``Metric/ofClients`` that the client has measured, by name.
  package var metrics: [String: Float]
  /// What the bytes are coded with; nil: plain.
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

  /// The metrics of the last batch that tell a collapse; nil where one of them is missing.
  package var monitors: CollapseMonitors? {
    get { CollapseMonitors { metrics[$0.name] } }
    set { for (metric, value) in CollapseMonitors.metrics(newValue) { metrics[metric.name] = value } }
  }
}

/// A new device asks for its certificate, with a one-time code; it has nothing else to say.
package struct EnrolmentRequest: Sendable, Hashable, Codable {
  /// The name that the code was made for.
  @ForeignText package var name: String
  /// The code's secret, 16 characters.
  package var secret: String
  /// A PKCS #10 request in PEM: the key itself never leaves the device.
  package var request: String

  package init(name: String, secret: String, request: String) {
    (self.name, self.secret, self.request) = (name, secret, request)
  }
}

/// The answer to an ``EnrolmentRequest``.
package struct IssuedCertificate: Sendable, Hashable, Codable {
  /// In PEM.
  package var certificate: String

  package init(certificate: String) { self.certificate = certificate }
}

/// Says that a client will not train in a round: its device has something else to do.
package struct Decline: Sendable, Hashable, Codable {
  package var key: RoundKey
  /// For the log, at most 200 characters.
  @ForeignText package var reason: String
  /// For how long the client would decline other rounds too, as far as it knows; nil where this is about one alone.
  package var seconds: Int?

  package init(key: RoundKey, reason: String, seconds: Int? = nil) {
    (self.key, self.reason, self.seconds) = (key, reason, seconds)
  }
}

/// Asks for the bytes of an offered update, from an offset on.
package struct UpdateRequest: Sendable, Hashable, Codable {
  package var key: RoundKey
  package var digest: Digest
  package var offset: Int

  package init(key: RoundKey, digest: Digest, offset: Int = 0) {
    (self.key, self.digest, self.offset) = (key, digest, offset)
  }
}

/// A piece of an update; the bytes follow the head.
package struct UpdateData: Sendable, Hashable, Codable {
  package var digest: Digest
  package var offset: Int

  package init(digest: Digest, offset: Int) { (self.digest, self.offset) = (digest, offset) }
}

/// The server's verdict on an update; it is stored before this is sent.
package struct Acknowledgement: Sendable, Hashable, Codable {
  package var key: RoundKey
  /// Nil: the update is admitted.
  package var rejection: Rejection?

  package init(key: RoundKey, rejection: Rejection? = nil) { (self.key, self.rejection) = (key, rejection) }
}

/// Tells a client that its work for a round is not needed any more.
package struct Release: Sendable, Hashable, Codable {
  package var key: RoundKey

  package init(key: RoundKey) { self.key = key }
}

/// A sign of life; a client that trains says how far it is.
package struct Heartbeat: Sendable, Hashable, Codable {
  package var step: Int?
  package var steps: Int?
  /// Bytes of memory that a client's process has resident, for whoever watches; nil where it does not tell.
  package var memory: Int?

  package init(step: Int? = nil, steps: Int? = nil, memory: Int? = nil) {
    (self.step, self.steps, self.memory) = (step, steps, memory)
  }
}

/// The last words of a connection.
package struct Goodbye: Sendable, Hashable, Codable {
  package enum Reason: String, Sendable, Hashable, Codable {
    /// The job is done.
    case finished
    /// The speaker stops; try again later.
    case stopping
    /// The peer's bytes or messages make no sense.
    case protocolError
    /// The server does not take this client.
    case rejected
    /// The server gave the job up.
    case failed
  }

  package var reason: Reason
  @ForeignText package var detail: String

  package init(_ reason: Reason, _ detail: String = "") { (self.reason, self.detail) = (reason, detail) }
}
