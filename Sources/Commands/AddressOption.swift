import ArgumentParser
import Wire

/// The HOST:PORT that an option names. Throws `ValidationError` with the option and what would be right.
///
/// - Parameter example: an address as the option may have it.
package func address(_ text: String, of option: String, example: String) throws -> Endpoint {
  do {
    return try Endpoint(parsing: text)
  } catch {
    let reason = if case .address(_, let reason) = error { reason } else { "\(error)" }
    throw ValidationError("\(option): '\(text)': \(reason), such as \(example)")
  }
}
