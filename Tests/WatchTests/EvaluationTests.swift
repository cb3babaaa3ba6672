import Engine
import Federation
import Foundation
import GRDB
import PageChecks
import Server
import TestSupport
import Testing
import Watch

/// The evaluation of classifications on pages, in JSON and in metrics.
@Suite struct EvaluationTests {
  /// Labels and predictions of 40 test images at two exits, of which the last is right about 31.
  private let result = {
    let labels = (0..<40).map { $0 < 25 ? 0 : 1 }
    let first = labels.map { _ in 0 }
    let last = labels.enumerated().map { $0.offset % 5 == 0 || $0.offset == 7 ? 1 - $0.element : $0.element }
    return ExitEvaluation.Result(exits: [
      ExitEvaluation.Exit(
        depth: 1, report: ClassificationReport(labels: labels, predictions: first, classes: 2)),
      ExitEvaluation.Exit(
        depth: 2,
        report: ClassificationReport(
          labels: labels, predictions: last, classes: 2, scores: last.map { Float($0) })),
    ])
  }()

  private struct Run {
    let plan: Plan
    let path: String
    let store: Store

    var overview: Overview {
      get throws {
        Overview(try #require(try History(path).job()), plan, at: Date(timeIntervalSince1970: 1_790_000_100))
      }
    }
  }

  /// Creates a job with a probed round, whose model a client has validated.
  private func withRun(_ body: (Run) throws -> Void) async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan(
        name: "labels", seed: 7,
        encoder: EncoderConfiguration(
          image: 8, channels: 1, patch: 4, width: 8, depth: 2, heads: 2, mlpRatio: 2),
        heads: HeadConfiguration(hidden: 8, output: 4))
      (plan.method.objective, plan.method.alignment) = (.classification, 0)
      plan.method.strategy = .endToEnd
      plan.method.classification = Plan.Classification(classes: .names(["cat <1>", "dog"]))
      plan.round = Plan.RoundRules(cohort: 1)
      let path = folder.appendingPathComponent("strata.sqlite").path
      let (store, start) = (try Store(path), Date(timeIntervalSince1970: 1_790_000_000))
      let job = try store.openJob(plan, at: start)
      try store.join(Hello(name: "device-1", software: "test/1"), at: start)
      try store.join(Hello(name: "device-2", software: "test/1"), at: start)
      let stage = try store.openStage(1, depth: 2, of: job, at: start)
      var record = try store.openRound(RoundKey(stage: 1, round: 1), of: stage, at: start)
      record.finishedAt = start
      try store.commit(record, plan.firstSnapshot())
      try store.note(result, of: record)
      let engine = try JobEngine(plan, store: store, at: .zero)
      let effects =
        engine.advance(at: .zero) + engine.join(Hello(name: "device-1", software: "test/1"), at: .zero)
      #expect(effects.contains { if case .send(.assignment, _) = $0 { true } else { false } })
      let key = RoundKey(stage: 1, round: 2)
      #expect(
        !engine.take(Validation(key: key, images: 8, majority: 6, correct: [7]), from: "device-1").isEmpty)
      try store.note(engine.status(since: start, at: .zero, start))
      try body(Run(plan: plan, path: path, store: store))
    }
  }

  @Test func theReportHasTheCountsAndTheMeasures() async throws {
    try await withRun { run in
      let (overview, report) = (try run.overview, try #require(result.exits.last?.report))
      let evaluation = try #require(overview.evaluation)
      #expect(evaluation.confusion == report.confusion && report.confusion == [[19, 6], [3, 12]])
      #expect(evaluation.classNames == ["cat <1>", "dog"])
      #expect(evaluation.exits == ["exits.1": 0.625, "exits.2": report.accuracy])
      #expect(evaluation.auroc == report.auroc && report.auroc != nil)
      for html in [ReportPage(overview, plan: "").html, StatusPage(overview).html] {
        let found = try MarkupCheck.parse(html)
        let titles = found.elements.compactMap { $0.attributes["title"] }
        for cell in report.cells {
          let name = ["cat <1>", "dog"]
          let words = "true \(name[cell.label]), predicted \(name[cell.predicted]): \(cell.count) of "
          #expect(titles.contains { $0.hasPrefix(words) }, "\(words)")
        }
        #expect(found.text.contains("77.5\u{A0}% (majority class 62.5\u{A0}%)"))
        for line in ["exit 1", "exit 2", "majority class", "balanced accuracy", "macro-F1"] {
          #expect(found.text.contains(line), "\(line)")
        }
        // The client's validation: 7 of 8, with a majority of 6.
        #expect(found.text.contains("87.5\u{A0}%") && found.text.contains("75.0\u{A0}%"))
      }
      #expect(overview.clients.map { $0.validation?.images } == [8, nil])
      let metrics = Metrics(overview, ProcessUse(residentBytes: 1, seconds: 1)).text
      for line in [
        "strata_last_probe_exit_accuracy_ratio 0.775", "strata_last_probe_majority_baseline_ratio 0.625",
        "strata_last_probe_exit_accuracy_ratio{layer=\"exits.1\"} 0.625",
        "strata_last_round_validation_accuracy_ratio{client=\"device-1\"} 0.875",
        "strata_last_round_validation_accuracy_ratio{client=\"device-1\",layer=\"exits.2\"} 0.875",
      ] {
        #expect(metrics.contains("\(line)\n"), "\(line)")
      }
    }
  }

  /// Counts that cannot be are left out, and the rest is shown.
  @Test(arguments: ["label = 2", "predicted = -1", "count = -5", "count = 9223372036854775807"])
  func damagedCountsAreNotShown(change: String) async throws {
    try await withRun { run in
      try DatabaseQueue(path: run.path).write { db in
        try db.execute(sql: "UPDATE confusions SET \(change) WHERE label = 0 AND predicted = 1")
      }
      let overview = try run.overview
      #expect(overview.evaluation?.confusion == nil && overview.evaluation?.accuracy == 0.775)
      #expect(try MarkupCheck.parse(ReportPage(overview, plan: "").html).count("figcaption") > 0)
    }
  }

  /// Without labels there is nothing about exits.
  @Test func anotherJobHasNothingOfIt() async throws {
    try await withMadeRun { run in
      let overview = try run.overview
      #expect(overview.evaluation == nil)
      let page = try MarkupCheck.parse(StatusPage(overview).html)
      #expect(!page.text.contains("majority") && !page.text.contains("validation"))
    }
  }

  /// The images that remained, by client and stage, and the costs of the training.
  @Test func theReportHasTheImagesOfACascade() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan(
        name: "cascade", seed: 7,
        encoder: EncoderConfiguration(
          image: 8, channels: 1, patch: 4, width: 8, depth: 2, heads: 2, mlpRatio: 2))
      (plan.method.objective, plan.method.alignment) = (.classification, 0)
      plan.method.classification = Plan.Classification(classes: .count(3))
      plan.method.cascade = Plan.Cascade()
      (plan.method.roundsPerStage, plan.round) = (.each(1), Plan.RoundRules(cohort: 2))
      let path = folder.appendingPathComponent("strata.sqlite").path
      let (store, start) = (try Store(path), Date(timeIntervalSince1970: 1_790_000_000))
      let job = try store.openJob(plan, at: start)
      var snapshot = plan.firstSnapshot()
      for (number, images) in [(1, ["device-1": 52, "device-2": 31]), (2, ["device-1": 17, "device-2": 0])] {
        if number == 2 { snapshot = plan.grow(snapshot) }
        let key = RoundKey(stage: number, round: 1)
        let stage = try store.openStage(number, depth: number, of: job, at: start)
        var record = try store.openRound(key, of: stage, at: start)
        for (client, count) in images.sorted(by: { $0.key < $1.key }) {
          if number == 1 { try store.join(Hello(name: client, software: "test/1"), at: start) }
          let bytes = Data(client.utf8)
          var offer = UpdateOffer(
            key: key, base: Digest(of: bytes), digest: Digest(of: bytes), bytes: bytes.count, samples: count,
            steps: 1, loss: 1, seconds: 1)
          if count == 0 { offer = UpdateOffer(emptyFor: key, base: Digest(of: bytes)) }
          try store.admit(offer, count == 0 ? Data() : bytes, from: client, to: record, at: start)
        }
        (record.samples, record.finishedAt) = (images.values.reduce(0, +), start)
        try store.commit(record, snapshot)
      }
      let engine = try JobEngine(plan, store: store, at: .zero)
      try store.note(engine.status(since: start, at: .zero, start))
      let run = Run(plan: plan, path: path, store: store)
      let overview = try run.overview
      let cascade = try #require(overview.cascade)
      #expect(cascade.stages.map(\.remaining) == [83, 17] && cascade.stages.map(\.trained) == [83, 17])
      #expect(cascade.training < cascade.endToEnd && cascade.equalEpochs > 0)
      let page = try MarkupCheck.parse(ReportPage(overview, plan: plan.yaml()).html)
      for text in ["Images that earlier exits left", "52", "31", "83, 17"] {
        #expect(page.text.contains(text), "\(text)")
      }
      let copy = try JSONDecoder().decode(CascadeAccount.self, from: JSONEncoder().encode(cascade))
      #expect(copy == cascade)
    }
  }
}
