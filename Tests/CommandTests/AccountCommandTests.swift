import Foundation
import TestSupport
import Testing

@Suite(.unhurried) struct AccountCommandTests {
  @Test func printsATableOrAnObject() async throws {
    try await withTemporaryFolder { folder in
      let plan = try folder.plan()
      let table = try await Command.run("fedsim", "account", plan, "--images", "64")
      #expect(table.code == 0 && table.errors.isEmpty, "\(table)")
      for strategy in ["  end-to-end ", "* layer-wise ", "  progressive ", "  layer-wise, calibrated "] {
        #expect(table.output.contains("\n\(strategy)"), "\(table.output)")
      }
      #expect(table.output.contains("64 images in batches of 16"))
      let json = try await Command.run("fedsim", "account", plan, "--json")
      #expect(json.code == 0 && json.errors.isEmpty, "\(json)")
      let object = try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
      #expect(object?["name"] as? String == "tiny" && object?["images"] as? Int == 16)
      #expect((object?["strategies"] as? [Any])?.count == 4)
    }
  }

  @Test func rejectsWhatIsNoPlan() async throws {
    try await withTemporaryFolder { folder in
      let missing = try await Command.run("fedsim", "account", folder.path("none.yaml"))
      #expect(missing.code == 2 && missing.output.isEmpty, "\(missing)")
      #expect(missing.lines.count == 1 && missing.errors.contains(folder.path("none.yaml")), "\(missing)")
      let plan = try folder.plan(extra: "flavour: vanilla")
      let unknown = try await Command.run("fedsim", "account", plan)
      #expect(unknown.code == 2 && unknown.errors.contains("\(plan):7: "), "\(unknown)")
      let images = try await Command.run("fedsim", "account", try folder.plan(), "--images", "1")
      #expect(images.code == 64 && images.errors.contains("--images"), "\(images)")
    }
  }
}
