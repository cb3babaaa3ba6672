/// Why a client will not train as it is asked to.
package struct DeclineReason: Sendable, Hashable {
  /// For people, at most 200 characters.
  package let reason: String
  /// For how long it will probably hold; nil where it is about this round alone.
  package let seconds: Int?

  package init(_ reason: String, seconds: Int? = nil) {
    (self.reason, self.seconds) = (String(reason.prefix(Self.longest)), seconds.map { max($0, 0) })
  }

  private static let longest = 200
}
