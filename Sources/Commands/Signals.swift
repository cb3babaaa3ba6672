import Foundation
import Synchronization
import UnixSignals

/// Runs `body`; at the first SIGINT, SIGTERM or SIGHUP `stop` is called, and `body` is expected to end soon. A second
/// SIGINT ends the process at once, any other changes nothing. Where SIGHUP is ignored, as by nohup, it stays so.
package func stoppingOnSignal<Result: Sendable>(
  _ stop: @escaping @Sendable () async -> Void, _ body: @escaping @Sendable () async throws -> Result
) async throws -> Result {
  try await stoppingOnSignal({ _, _ in await stop() }, body)
}

/// The same for a `body` that ends when its task is cancelled: at the signal `stop` is called, and then it is cancelled.
package func cancellingOnSignal<Result: Sendable>(
  _ stop: @escaping @Sendable () -> Void, _ body: @escaping @Sendable () async throws -> Result
) async throws -> Result {
  try await stoppingOnSignal(
    { _, cancel in
      stop()
      cancel()
    }, body)
}

/// Runs work that is worth nothing before its end: at the first of those signals its task is cancelled. Once it has
/// ended, `undo` is called, the line `last` takes the place of what `terminal` shows, and the process ends with the
/// signal's code.
package func resultUnlessStopped<Result: Sendable>(
  _ command: String, on terminal: Terminal = Terminal(), last: String = "stopped",
  undo: @escaping @Sendable () -> Void = {}, _ body: @escaping @Sendable () async throws -> Result
) async throws -> Result {
  let stop = StopSignal()
  do {
    return try await stoppingOnSignal(
      { signal, cancel in
        stop.code.withLock {
          $0 = signal == .sigint ? .interrupted : signal == .sighup ? .hungUp : .terminated
        }
        cancel()
      }, body)
  } catch {
    guard let code = stop.code.withLock({ $0 }) else { throw error }
    undo()
    terminal.end("\(command): \(last)")
    StandardError.shared.drain()
    // Threads that were left to themselves must not meet what an ordinary end takes away beneath them.
    _exit(code.rawValue)
  }
}

/// The code of the signal that came, where one did.
private final class StopSignal: Sendable {
  let code = Mutex<CommandFailure.Code?>(nil)
}

private func stoppingOnSignal<Result: Sendable>(
  _ stop: @escaping @Sendable (UnixSignal, _ cancel: @Sendable () -> Void) async -> Void,
  _ body: @escaping @Sendable () async throws -> Result
) async throws -> Result {
  // The trap is set before the body starts: a signal that comes early is not lost.
  let trapped: [UnixSignal] = [.sigint, .sigterm] + (isIgnored(SIGHUP) ? [] : [.sighup])
  let signals = await UnixSignalsSequence(trapping: trapped)
  let work = Task { try await body() }
  return try await withThrowingTaskGroup(of: Result?.self) { group in
    group.addTask {
      var isStopping = false
      for await signal in signals {
        // Whoever asks once more at the keyboard does not want to wait; a service manager's repetition is none.
        if isStopping && signal == .sigint { _exit(130) }
        if !isStopping { await stop(signal) { work.cancel() } }
        isStopping = true
      }
      return nil
    }
    group.addTask { try await work.value }
    defer { group.cancelAll() }
    while let result = try await group.next() {
      guard let result else { continue }
      // What is left to do with it, such as to print it, can be ended as anything can.
      for signal in trapped { Foundation.signal(signal.rawValue, SIG_DFL) }
      return result
    }
    preconditionFailure("the body ended without a result")
  }
}

private func isIgnored(_ signal: Int32) -> Bool {
  var action = sigaction()
  guard sigaction(signal, nil, &action) == 0 else { return false }
  return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
    == unsafeBitCast(SIG_IGN, to: Int.self)
}
