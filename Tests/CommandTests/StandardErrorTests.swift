import Commands
import Foundation
import TestSupport
import Testing

/// Queued lines, and their loss if the stream is blocked.
@Suite(.unhurried) struct StandardErrorTests {
  private func pipe() throws -> (reading: Int32, writing: Int32) {
    var ends: [Int32] = [0, 0]
    guard Foundation.pipe(&ends) == 0 else { throw Command.Failure(call: "pipe", number: errno) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return (ends[0], ends[1])
  }

  /// Writes far more than a pipe and the buffer hold, without waiting for a reader. The reader then gets every line in
  /// order or its count in the right place.
  @Test func linesThatAreNotReadAreCounted() async throws {
    let (reading, writing) = try pipe()
    let errors = StandardError(writing, limit: 10_000)
    let count = 50_000
    let queued = (0..<count).map { errors.write("line \($0)\n") }
    #expect(queued.contains(false), "the buffer has no bound")
    let log = LineLog(reading)
    errors.drain()
    #expect(errors.write("the last\n"))
    _ = try await log.line(containing: "the last")
    errors.drain()
    close(writing)
    var next = 0
    for line in try await log.whole().split(separator: "\n") {
      if let number = line.firstMatch(of: #/^line (\d+)$/#).flatMap({ Int($0.1) }) {
        #expect(number == next, "line \(number) where \(next) belongs")
        next = number + 1
      } else if let dropped = line.firstMatch(of: #/: (\d+) lines? (?:was|were) dropped: /#).flatMap({
        Int($0.1)
      }) {
        next += dropped
      } else {
        #expect(line == "the last")
      }
    }
    #expect(next == count)
  }

  /// As on a disk that was full for a while.
  @Test func linesThatCouldNotBeWrittenAreCounted() async throws {
    let full = open("/dev/full", O_WRONLY | O_CLOEXEC)
    let errors = StandardError(full)
    for number in 0..<7 {
      errors.write("line \(number)\n")
      // Drains after each line, so that each attempt fails.
      errors.drain()
    }
    let (reading, writing) = try pipe()
    #expect(dup2(writing, full) == full)
    _ = fcntl(full, F_SETFD, FD_CLOEXEC)
    close(writing)
    errors.write("room again\n")
    errors.drain()
    close(full)
    let lines = try await LineLog(reading).whole().split(separator: "\n")
    #expect(
      lines.count == 2 && lines[0].contains(": 7 lines were dropped: ") && lines[1] == "room again",
      "\(lines)")
  }

  @Test func aReaderWhoTakesNothingIsNotWaitedForInTheEnd() throws {
    let (reading, writing) = try pipe()
    let errors = StandardError(writing)
    for _ in 0..<3 { errors.write(String(repeating: "x", count: 100_000) + "\n") }
    errors.drain()
    // Draining returned, and only what the pipe holds was written.
    var waiting: Int32 = 0
    #expect(ioctl(reading, UInt(FIONREAD), &waiting) == 0 && waiting > 0 && waiting < 300_000)
    close(reading)
  }
}
