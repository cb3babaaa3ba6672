import Synchronization

/// The results of a function by argument, each computed once. At most `limit` results are kept; beyond that, all are
/// computed again when needed.
package final class Memo<Argument: Hashable & Sendable, Result: Sendable>: Sendable {
  private let results = Mutex<[Argument: Result]>([:])
  private let limit: Int
  private let body: @Sendable (Argument) -> Result

  package init(limit: Int, _ body: @escaping @Sendable (Argument) -> Result) {
    (self.limit, self.body) = (limit, body)
  }

  /// Returns the result for an argument; threads that ask for the same one at once may compute it more than once.
  package func callAsFunction(_ argument: Argument) -> Result {
    if let known = results.withLock({ $0[argument] }) { return known }
    let result = body(argument)
    results.withLock { results in
      if results.count >= limit { results = [:] }
      results[argument] = result
    }
    return result
  }
}
