import DataFiles
import Foundation
import Support
import Testing

@Suite struct ProcessMemoryTests {
  private let files = try! TestFiles()

  private func limit(_ membership: String) -> Int {
    ProcessMemory.least(cgroups: files.path, membership: membership)
  }

  @Test func theSmallestLimitOfItsGroupsCounts() throws {
    let machine = Int(clamping: ProcessInfo.processInfo.physicalMemory)
    #expect(limit("") == machine && limit("0::/nowhere\n") == machine && limit("damaged") == machine)
    try files.write("system.slice/memory.max", Array("2000000\n".utf8))
    try files.write("system.slice/a.service/memory.max", Array("max\n".utf8))
    try files.write("system.slice/b.service/memory.max", Array("1000000\n".utf8))
    #expect(limit("0::/system.slice/a.service\n") == 2_000_000)
    #expect(limit("0::/system.slice/b.service\n") == 1_000_000)
    // Version 1, which expresses no limit as a number larger than any memory.
    try files.write("memory/docker/memory.limit_in_bytes", Array("3000000\n".utf8))
    try files.write("memory/memory.limit_in_bytes", Array("9223372036854771712\n".utf8))
    #expect(limit("5:cpu:/x\n4:memory:/docker\n") == 3_000_000)
  }
}
