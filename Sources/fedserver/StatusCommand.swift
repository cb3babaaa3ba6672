import ArgumentParser
import Commands
import Foundation
import Server

struct StatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Says what a server is doing, from its database, whether it runs or not.")

  @Option(help: ArgumentHelp("The server's SQLite file.", valueName: "file"))
  var database: String

  @Flag(help: "Print JSON.")
  var json = false

  func run() async throws {
    try await reporting("fedserver") {
      do {
        guard let status = try Store.status(of: database) else {
          throw CommandFailure(.store, "\(database): no server has run on it yet")
        }
        print(json ? try Self.json(status) : Self.text(status))
      } catch let error as StoreError {
        throw CommandFailure(.store, error.description)
      }
    }
  }

  private static func json(_ status: ServerStatus) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    encoder.dateEncodingStrategy = .iso8601
    let object = try JSONSerialization.jsonObject(with: try encoder.encode(status)) as? [String: Any] ?? [:]
    let whole = object.merging(["running": status.isRunning]) { $1 }
    let data = try JSONSerialization.data(withJSONObject: whole, options: [.prettyPrinted, .sortedKeys])
    return String(decoding: data, as: UTF8.self)
  }

  private static func text(_ status: ServerStatus) -> String {
    var lines = [status.place, status.doing]
    let time = Date.ISO8601FormatStyle(timeZone: .current).dateTimeSeparator(.space)
    lines.append("since \(status.since.formatted(time))")
    if status.isRunning {
      if let until = status.until { lines.append("until \(until.formatted(time)) at the latest") }
      lines.append("\(status.present) clients are connected, process \(status.process)")
    } else if ![.finished, .stopped, .failed].contains(status.phase) {
      lines.append("but the server does not run: process \(status.process) is gone")
    }
    let refusals = (status.refusals ?? [:]).sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
    if !refusals.isEmpty { lines.append("updates refused so far: \(refusals.joined(separator: ", "))") }
    return lines.joined(separator: "\n")
  }
}
