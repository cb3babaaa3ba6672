import Certificates
import Federation

/// What a server's session needs of a connection: ``Connection`` live, and one under virtual time in the fault
/// simulation.
package protocol MessageConnection: Sendable {
  /// Bytes that went through it so far.
  var traffic: Traffic { get }
  /// Where the other end is, for logs.
  var peer: String { get }
  /// Whether nobody on the way can read what travels.
  var isSecret: Bool { get }
  /// Who the peer is by its certificate; nil where it has shown none.
  var identity: PeerIdentity? { get async }

  /// Makes the connection a secret one, where it is to be that. Throws ``WireError``.
  func shakeHands() async throws(WireError)
  /// The next message. Throws ``WireError`` for bytes that are none, and where the connection ends.
  func receive() async throws(WireError) -> Message
  /// Sends a message, after those that wait already. Throws ``WireError``.
  func send(_ message: Message) async throws(WireError)
  /// Sends what many are sent. Throws ``WireError``.
  func send(_ frame: OutgoingFrame) async throws(WireError)
  /// The longest frame that is taken from now on, in bytes.
  func setLimit(_ bytes: Int) async
  /// How long no byte has come.
  var silence: Duration { get }
  /// What shows of the other end at the time `now`, which is since some moment.
  func signs(at now: Duration) async -> SilenceWatch.Signs
  /// The other end has been silent for so long: a task that receives or sends gets ``WireError/silence(_:)``.
  func giveUp(after silence: Duration) async
  /// Ends both directions: a task that receives or sends gets ``WireError/closed``.
  func shutDown() async
  /// Ends the connection and frees what it holds. The receiving task calls it last.
  func close() async
}

extension Connection: MessageConnection {}
