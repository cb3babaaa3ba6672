import Foundation

/// Reports the state of a daemon to the service manager (sd_notify(3)), as datagrams to the socket that it names.
/// Without a service manager it does nothing.
package struct ServiceManager: Sendable {
  /// The path of the socket; nil without a service manager.
  private let address: String?
  /// The watchdog interval; nil if there is none.
  private let watchdog: Duration?

  /// Reads the environment of this process.
  package init() { self.init(ProcessInfo.processInfo.environment, process: getpid()) }

  package init(_ environment: [String: String], process: pid_t) {
    address = environment["NOTIFY_SOCKET"].flatMap { $0.isEmpty ? nil : $0 }
    let isMeant = environment["WATCHDOG_PID"].map { $0 == "\(process)" } ?? true
    let interval = environment["WATCHDOG_USEC"].flatMap { Int($0) }
    watchdog = isMeant ? interval.flatMap { $0 > 0 ? .microseconds($0) : nil } : nil
  }

  /// Reports that the daemon is ready.
  package func ready(_ status: String) { send("READY=1\nSTATUS=\(Self.line(status))") }
  /// Reports the daemon's status in a line.
  package func say(_ status: String) { send("STATUS=\(Self.line(status))") }
  /// Reports that the daemon is stopping.
  package func stopping() { send("STOPPING=1") }

  /// Runs `body` and notifies the watchdog twice per interval, as long as `isAlive` returns.
  package func watched<Result: Sendable>(
    isAlive: @escaping @Sendable () async -> Void = {}, _ body: () async throws -> Result
  ) async rethrows -> Result {
    let pulse = watchdog.map { interval in
      Task {
        while !Task.isCancelled {
          await isAlive()
          send("WATCHDOG=1")
          do { try await Task.sleep(for: interval / 2) } catch { return }
        }
      }
    }
    defer { pulse?.cancel() }
    return try await body()
  }

  private static func line(_ text: String) -> String { text.replacing("\n", with: " ") }

  private func send(_ text: String) {
    guard let address else { return }
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    var place = sockaddr_un()
    place.sun_family = sa_family_t(AF_UNIX)
    var path = Array(address.utf8)
    guard path.count < MemoryLayout.size(ofValue: place.sun_path) else { return }
    // An abstract socket's name begins with a zero byte, which is written as @.
    if path[0] == UInt8(ascii: "@") { path[0] = 0 }
    withUnsafeMutableBytes(of: &place.sun_path) { $0.copyBytes(from: path) }
    let length = socklen_t(MemoryLayout<sa_family_t>.size + path.count)
    let bytes = Array(text.utf8)
    // The result does not matter: the service manager may have ended.
    _ = withUnsafePointer(to: &place) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), $0, length)
      }
    }
  }
}
