import Federation
import Foundation

extension Plan {
  /// Returns a plan from the repository's deploy/plans.
  static func shipped(_ name: String) throws -> Plan {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let file = root.appending(path: "deploy/plans/\(name).yaml")
    return try Plan(yaml: String(contentsOf: file, encoding: .utf8), file: file.lastPathComponent)
  }

  /// Returns the plan of LW-FedSSL's tables.
  static func paper() throws -> Plan { try shipped("paper-vit-tiny") }
}
