import Synchronization

/// Something large for a task that is to let go of it as soon as it is used: what a closure captures lives as long as
/// the closure does.
final class Handover<Value: Sendable>: Sendable {
  private let value: Mutex<Value?>

  init(_ value: Value) { self.value = Mutex(value) }

  /// The value, which is not kept here any more. Once.
  func take() -> Value {
    value.withLock { value in
      guard let taken = value.take() else { preconditionFailure("taken twice") }
      return taken
    }
  }
}
