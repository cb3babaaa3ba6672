import Federation
import Foundation
import Testing

/// What is said of a file is what the system says, whoever met it.
@Suite struct SystemReasonTests {
  @Test func errorsOfFoundationAreToldInTheSystemsWords() {
    for (path, reason) in [
      ("/nowhere/file", "No such file or directory"), ("/dev/null/file", "Not a directory"),
    ] {
      do {
        try Data().write(to: URL(fileURLWithPath: path))
        Issue.record("\(path) was written")
      } catch {
        #expect(error.systemReason == reason, "\(error)")
      }
    }
    #expect(CocoaError(.fileWriteOutOfSpace).systemReason == "No space left on device")
    #expect(POSIXError(.EACCES).systemReason == "Permission denied")
  }

  @Test func oneIsCountedAsOne() {
    #expect((0...2).map { counted($0, "client") } == ["0 clients", "1 client", "2 clients"])
  }
}
