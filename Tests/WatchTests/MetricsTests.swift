import Federation
import Foundation
import Testing
import Watch

/// Parses the text by the grammar of Prometheus's exposition format, version 0.0.4.
@Suite struct MetricsTests {
  private struct Family {
    let kind: String
    var samples: [(name: String, labels: [String: String], value: Double)] = []
  }

  private struct Wrong: Error { let line: Substring }

  /// Returns the families by name; throws on a line that does not match the grammar.
  private func families(_ text: String) throws -> [String: Family] {
    #expect(text.hasSuffix("\n"))
    var (families, helped, last): ([String: Family], Set<Substring>, String) = ([:], [], "")
    for line in text.split(separator: "\n") {
      if let match = line.wholeMatch(of: /# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) .+/) {
        #expect(helped.insert(match.1).inserted, "\(line)")
      } else if let match = line.wholeMatch(of: /# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|summary)/) {
        last = String(match.1)
        #expect(helped.contains(match.1) && families[last] == nil, "\(line)")
        families[last] = Family(kind: String(match.2))
      } else if let match = line.wholeMatch(of: /([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)/) {
        let value = try #require(Double(match.3), "\(line)")
        families[last]?.samples.append((String(match.1), try labels(match.2 ?? "", line), value))
      } else {
        throw Wrong(line: line)
      }
    }
    return families
  }

  private func labels(_ text: Substring, _ line: Substring) throws -> [String: String] {
    var (labels, rest) = ([String: String](), text)
    while !rest.isEmpty {
      guard let match = rest.prefixMatch(of: /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(?:,|$)/)
      else { throw Wrong(line: line) }
      let value = match.2.replacing("\\\\", with: "\u{1}").replacing("\\\"", with: "\"")
        .replacing("\\n", with: "\n").replacing("\u{1}", with: "\\")
      #expect(labels.updateValue(String(value), forKey: String(match.1)) == nil, "\(line)")
      rest = rest[match.range.upperBound...]
    }
    return labels
  }

  @Test func everyLineIsOfTheFormat() async throws {
    let name = Hello(name: "a\\b\"c\nd {e=\"f\"}", software: "").name
    try await withMadeRun(clients: [name, "device-2"]) { run in
      let metrics = Metrics(try run.overview, ProcessUse(residentBytes: 7 << 20, seconds: 1.25))
      let families = try families(metrics.text)
      var seen: Set<String> = []
      for (family, content) in families {
        for sample in content.samples {
          let suffixes = content.kind == "summary" ? ["_sum", "_count"] : [""]
          #expect(suffixes.contains { sample.name == family + $0 }, "\(sample.name) under \(family)")
          #expect(seen.insert("\(sample.name) \(sample.labels.sorted { $0.key < $1.key })").inserted)
        }
        #expect((content.kind == "counter") == family.hasSuffix("_total"), "\(family) is a \(content.kind)")
        #expect(!content.samples.isEmpty, "\(family)")
      }
      let received = try #require(families["strata_client_received_bytes_total"]).samples
      #expect(received.first { $0.labels["client"] == name }?.value == 1000)
    }
  }

  @Test func theValuesAreTheRuns() async throws {
    try await withMadeRun { run in
      let use = ProcessUse(
        residentBytes: 7 << 20, seconds: 1.25, startedAt: Date(timeIntervalSince1970: 1_790_000_000.25))
      let metrics = Metrics(try run.overview, use)
      let families = try families(metrics.text)
      func value(_ name: String, _ labels: [String: String] = [:], of family: String? = nil) -> Double? {
        families[family ?? name]?.samples.first { $0.name == name && $0.labels == labels }?.value
      }
      #expect(value("strata_rounds_committed_total") == 2 && value("strata_rounds_abandoned_total") == 1)
      let duration = "strata_round_duration_seconds"
      #expect(value(duration + "_sum", of: duration) == 25 && value(duration + "_count", of: duration) == 2)
      #expect(value("strata_stage") == 2 && value("strata_phase", ["phase": "recruiting"]) == 1)
      #expect(families["strata_phase"]?.samples.reduce(0) { $0 + $1.value } == 1)
      #expect(value("strata_updates_rejected_total", ["reason": "notFinite"]) == 1)
      #expect(value("strata_updates_rejected_total", ["reason": "overNorm"]) == 0, "known before it happens")
      #expect(value("strata_last_round_loss") == 2 && value("strata_last_round_effective_rank") == 4.5)
      #expect(value("process_resident_memory_bytes") == Double(7 << 20))
      #expect(value("process_start_time_seconds") == 1_790_000_000.25)
    }
  }

  /// The start time must be constant, or Prometheus takes the process for a new one.
  @Test func thisProcessBeganOnceAndNotLongAgo() throws {
    let start = try #require(ProcessUse.now.startedAt)
    #expect(start == ProcessUse.now.startedAt)
    // The kernel reports the machine's start in whole seconds.
    #expect((-2...86_400).contains(Date().timeIntervalSince(start)))
  }

  @Test func asManyClientsAsMayBeHaveLinesOfTheirOwn() async throws {
    let names = (0..<WebLimits.clients + 20).map { "device-\($0)" }
    try await withMadeRun { run in
      let overview = try run.overview.with(clients: names)
      let families = try families(Metrics(overview, ProcessUse(residentBytes: 0, seconds: 0)).text)
      #expect(families["strata_client_connected"]?.samples.count == WebLimits.clients)
      #expect(families["strata_clients_known"]?.samples.first?.value == Double(names.count))
      #expect(families["strata_received_bytes_total"]?.samples.first?.value == 1000)
    }
  }
}
