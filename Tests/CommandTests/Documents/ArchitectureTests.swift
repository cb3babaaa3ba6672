import Foundation
import TestSupport
import Testing

/// The README's description of the architecture is correct.
@Suite struct ArchitectureTests {
  private let text: String

  init() throws { text = try Repository.text("README.md") }

  /// The folders under Sources and Sources/Core, except those with a header of a system library.
  @Test func everyModuleIsInTheTable() throws {
    let files = Repository.files(under: "Sources").filter { $0.hasSuffix(".swift") }
    let modules = Set(
      files.map { file -> String in
        let parts = file.split(separator: "/").map(String.init)
        return parts.prefix(parts[1] == "Core" ? 3 : 2).joined(separator: "/")
      })
    let rows = text.matches(of: /(?m)^\| (`Sources\/[^|]+) \|/)
    let named = Set(
      rows.flatMap { $0.1.matches(of: /`([^`]+)`/) }
        .map { $0.1.hasPrefix("Sources/") ? String($0.1) : "Sources/\($0.1)" })
    #expect(modules.subtracting(named) == [], "the README lacks them")
    #expect(named.subtracting(modules) == [], "there are no such modules")
  }

  /// The types to read first, and the extension points.
  @Test func everyTypeThatItNamesIsThere() throws {
    let section = try #require(text.components(separatedBy: "## Architecture\n").last)
      .components(separatedBy: "\n## ")[0]
    let names = Set(section.matches(of: /`([A-Z][A-Za-z]+)(?:\.[A-Z][A-Za-z]+)?`/).map { String($0.1) })
    #expect(names.count > 10)
    let sources = try Repository.files(under: "Sources").filter { $0.hasSuffix(".swift") }
      .map { try Repository.text($0) }.joined(separator: "\n")
    let types = Set(
      sources.matches(of: /\b(?:struct|enum|class|actor|protocol) ([A-Z]\w*)/).map { String($0.1) })
    #expect(names.subtracting(types).subtracting(["Tests"]) == [])
  }

  /// Time limits of tests are defined in one place, and no test blocks the shared threads.
  @Test func noTestHasItsOwnTime() throws {
    let words = ["timeLimit(", "waitUntilExit(", "usleep(", "Thread.sleep("]
    // This file contains the names.
    let files = Repository.files(under: "Tests").filter {
      $0.hasSuffix(".swift") && !$0.hasSuffix("/ArchitectureTests.swift")
    }
    for file in files {
      let text = try Repository.text(file)
      for word in words where text.contains(word) { Issue.record("\(file): \(word): see Tests/TestSupport") }
    }
  }

  /// Another file's encoder could end a process because of a number from a peer.
  @Test func jsonIsCodedInOnePlace() throws {
    for file in Repository.files(under: "Sources") where file.hasSuffix(".swift") {
      guard !file.hasSuffix("Support/JSON.swift") else { continue }
      let text = try Repository.text(file)
      #expect(!text.contains("JSONEncoder") && !text.contains("JSONDecoder"), "\(file)")
    }
  }

  /// The libraries that the package links, and its dependencies.
  @Test func everythingThatItStandsOnIsNamed() throws {
    let stands = try #require(text.components(separatedBy: "## Dependencies\n").last).lowercased()
    let package = try Repository.text("Package.swift")
    let system = package.matches(of: /(?:pkgConfig: "(?:lib)?|linkedLibrary\(")([a-z]+)"/).map {
      String($0.1)
    }
    let packages = package.matches(of: /\.package\(url: ".*\/([^"\/]+)"/).map { $0.1.lowercased() }
    #expect(system.count >= 6 && packages.count >= 6)
    for name in system + packages {
      let known =
        ["turbojpeg": "libjpeg-turbo", "jpeg": "libjpeg-turbo", "deflate": "libdeflate", "png": "libpng"][
          name] ?? name
      #expect(stands.contains(known), "\(known)")
    }
  }
}
