import Federation
import Foundation

extension Plan {
  /// A plan of the repository's deploy/plans.
  static func shipped(_ name: String) throws -> Plan {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let file = root.appending(path: "deploy/plans/\(name).yaml")
    return try Plan(yaml: String(contentsOf: file, encoding: .utf8), file: file.lastPathComponent)
  }

  /// The plan of LW-FedSSL's tables.
  static func paper() throws -> Plan { try shipped("paper-vit-tiny") }
}
