import Foundation
import Testing
import Yams

/// The parts of `deploy/kubernetes` that affect a process.
struct KubernetesManifests {
  /// The folder of this package.
  static let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// A container of a pod.
  struct Container {
    let name: String
    /// The command and its arguments.
    let words: [String]
    let environment: [String: String]
    /// The mount paths of volumes by name.
    let mounts: [String: String]
    /// The path of the liveness probe.
    let health: String?
  }

  /// The relevant fields of a Job.
  struct Job {
    let completions: Int?
    let parallelism: Int?
    let isIndexed: Bool
    let initial: [Container]
    let main: [Container]
  }

  /// Returns the Job among the documents of a file.
  static func job(_ file: String) throws -> Job {
    let path = package.appendingPathComponent("deploy/kubernetes/\(file)")
    let documents = try Yams.load_all(yaml: try String(contentsOf: path, encoding: .utf8))
      .map { $0 as? [String: Any] ?? [:] }
    let spec = try #require(documents.first { $0["kind"] as? String == "Job" }?["spec"] as? [String: Any])
    let pod = try #require((spec["template"] as? [String: Any])?["spec"] as? [String: Any])
    return Job(
      completions: spec["completions"] as? Int, parallelism: spec["parallelism"] as? Int,
      isIndexed: spec["completionMode"] as? String == "Indexed",
      initial: try containers(pod["initContainers"]), main: try containers(pod["containers"]))
  }

  private static func containers(_ node: Any?) throws -> [Container] {
    try (node as? [[String: Any]] ?? []).map { container in
      func pairs(_ key: String, _ name: String, _ value: String) -> [String: String] {
        (container[key] as? [[String: Any]] ?? []).reduce(into: [:]) {
          $0[$1[name] as? String ?? ""] = $1[value] as? String
        }
      }
      let probe = (container["livenessProbe"] as? [String: Any])?["httpGet"] as? [String: Any]
      return Container(
        name: try #require(container["name"] as? String),
        words: (container["command"] as? [String] ?? []) + (container["args"] as? [String] ?? []),
        environment: pairs("env", "name", "value"), mounts: pairs("volumeMounts", "name", "mountPath"),
        health: probe?["path"] as? String)
    }
  }

  /// Creates files as the kubelet does for a secret or a ConfigMap: links through `..data`, readable by their group.
  static func mount(_ files: URL, at place: URL) throws {
    let manager = FileManager.default
    let version = place.appendingPathComponent("..2026_01_02_03_04_05.678")
    try manager.createDirectory(at: version, withIntermediateDirectories: true)
    try manager.createSymbolicLink(
      atPath: place.path("..data"), withDestinationPath: version.lastPathComponent)
    for name in try manager.contentsOfDirectory(atPath: files.path) {
      try manager.copyItem(atPath: files.path(name), toPath: version.path(name))
      try manager.setAttributes([.posixPermissions: 0o440], ofItemAtPath: version.path(name))
      try manager.createSymbolicLink(atPath: place.path(name), withDestinationPath: "..data/\(name)")
    }
  }
}
