import Foundation
import Synchronization
import UnixSignals

/// Runs `body`. The first SIGINT, SIGTERM or SIGHUP calls `stop`, after which `body` must end soon. A second SIGINT
/// ends the process at once; other signals then have no effect. If SIGHUP is ignored, as under nohup, it stays ignored.
package func stoppingOnSignal<Result: Sendable>(
  _ stop: @escaping @Sendable () async -> Void, _ body: @escaping @Sendable () async throws -> Result
) async throws -> Result {
  try await stoppingOnSignal({ _, _ in await stop() }, body)
}

/// Does the same for a `body` that ends when its task is cancelled: a signal calls `stop` and then cancels the task.
package func cancellingOnSignal<Result: Sendable>(
  _ stop: @escaping @Sendable () -> Void, _ body: @escaping @Sendable () async throws -> Result
) async throws -> Result {
  try await stoppingOnSignal(
    { _, cancel in
      stop()
      cancel()
    }, body)
}

/// Runs work that has no result until it ends; one of the signals above cancels its task. After the task has ended,
/// calls `undo`, replaces the output of `terminal` by the line `last` and exits with the signal's code.
package func resultUnlessStopped<Result: Sendable>(
  _ command: String, on terminal: Terminal = Terminal(),
  last: @escaping @Sendable @autoclosure () -> String = "stopped",
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
    terminal.end("\(command): \(last())")
    StandardError.shared.drain()
    // Threads that still run must not use what an ordinary exit destroys.
    _exit(code.rawValue)
  }
}

/// The code of the received signal; nil if there was none.
private final class StopSignal: Sendable {
  let code = Mutex<CommandFailure.Code?>(nil)
}

private func stoppingOnSignal<Result: Sendable>(
  _ stop: @escaping @Sendable (UnixSignal, _ cancel: @Sendable () -> Void) async -> Void,
  _ body: @escaping @Sendable () async throws -> Result
) async throws -> Result {
  // The handler is installed before the body starts, so that no early signal is lost.
  let trapped: [UnixSignal] = [.sigint, .sigterm] + (isIgnored(SIGHUP) ? [] : [.sighup])
  let signals = await UnixSignalsSequence(trapping: trapped)
  let work = Task { try await body() }
  return try await withThrowingTaskGroup(of: Result?.self) { group in
    group.addTask {
      var isStopping = false
      for await signal in signals {
        // A second interrupt from the keyboard ends the process; a repeated signal from a service manager does not.
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
      // Afterwards, signals have their default effect, for instance while the result is printed.
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
