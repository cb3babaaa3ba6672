import Datasets
import Foundation
import Testing

@Suite struct SystemWordsTests {
  private func words(_ body: () throws -> Void) -> String? {
    do { try body() } catch { return error.systemWords }
    return nil
  }

  @Test func theyAreTheSystems() {
    let missing = "/proc/nothing/file"
    #expect(words { _ = try Data(contentsOf: URL(filePath: missing)) } == "No such file or directory")
    #expect(words { try Data([1]).write(to: URL(filePath: missing)) } == "No such file or directory")
    #expect(
      words { try Data([1]).write(to: URL(filePath: missing), options: .atomic) }
        == "No such file or directory")
    #expect(
      words { _ = try FileManager.default.contentsOfDirectory(atPath: missing) }
        == "No such file or directory")
    #expect(words { throw CocoaError(.fileWriteNoPermission) } == "Permission denied")
    #expect(words { throw CocoaError(.fileWriteOutOfSpace) } == "No space left on device")
    #expect(words { throw POSIXError(.EROFS) } == "Read-only file system")
  }
}
