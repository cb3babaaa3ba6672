import Datasets
import Engine
import Federation
import Foundation
import Server
import Simulation
import TestSupport
import Testing

@Suite(.unhurried) struct SummaryTests {
  @Test func theFolderHoldsWhatTheContractSays() async throws {
    try await TinyRun.run(.tiny(), probe: true) { summary, out in
      let names = try FileManager.default.contentsOfDirectory(atPath: out.path)
      #expect(
        Set(names).isSuperset(of: ["summary.json", "encoder.safetensors", "strata.sqlite", "report.txt"]))
      #expect(!names.contains("clients"), "what clients kept is taken away")
      let data = try Data(contentsOf: out.appendingPathComponent("summary.json"))
      let decoded = try JSONDecoder().decode(Summary.self, from: data)
      #expect(decoded.encoderDigest == summary.encoderDigest && decoded.rounds == summary.rounds)
      let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
      let keys = [
        "strategy", "objective", "stages", "rounds", "clients", "probe", "encoderDigest", "seconds",
      ]
      for key in keys + ["peakMemoryBytes"] { #expect(object[key] != nil, "\(key) is missing") }
      #expect(object["strategy"] as? String == "layer-wise" && object["objective"] as? String == "simclr")
      #expect(object["stages"] as? Int == 2)
      let round = try #require((object["rounds"] as? [[String: Any]])?.first)
      #expect(Set(round.keys).isSuperset(of: ["stage", "round", "loss", "seconds", "clients"]))
      let client = try #require((object["clients"] as? [[String: Any]])?.first)
      #expect(Set(client.keys).isSuperset(of: ["name", "samples", "bytesUp", "bytesDown"]))
      #expect(client["samples"] as? Int == TinyRun.imagesOfAClient)
      let probe = try #require(object["probe"] as? [String: Double])
      #expect(Set(probe.keys) == ["trained", "untrained"])
      #expect(probe.values.allSatisfy { (0...1).contains($0) })
      let evaluation = try #require(object["evaluation"] as? [String: [String: Double]])
      #expect(Set(evaluation.keys) == ["trained", "untrained"])
      for (name, accuracies) in evaluation {
        #expect(Set(accuracies.keys) == ["linearProbe", "nearestNeighbours"], "no fine-tuning was asked for")
        #expect(accuracies.values.allSatisfy { (0...1).contains($0) })
        #expect(accuracies["linearProbe"] == probe[name])
      }
      #expect((object["seconds"] as? Double ?? 0) > 0)
      #expect((object["peakMemoryBytes"] as? Int ?? 0) > 1 << 20)
    }
  }

  /// Reported for the trained and the untrained encoder, without any other effect.
  @Test func fineTuningIsReported() async throws {
    let summary = try await TinyRun.run(.tiny(), probe: true, fineTuningEpochs: 2) { summary, out in
      let data = try Data(contentsOf: out.appendingPathComponent("summary.json"))
      let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
      let evaluation = try #require(object["evaluation"] as? [String: [String: Double]])
      #expect(evaluation["trained"]?["fineTuned"] == summary.evaluation?.trained.fineTuned)
      #expect(evaluation["untrained"]?["fineTuned"] == summary.evaluation?.untrained.fineTuned)
      let report = try String(contentsOf: out.appendingPathComponent("report.txt"), encoding: .utf8)
      for name in ["linear probe", "k-NN", "fine-tuned"] {
        #expect(report.contains("\n\(name) "), "\(report)")
      }
      return summary
    }
    #expect(summary.evaluation?.trained.fineTuned != nil && summary.evaluation?.untrained.fineTuned != nil)
    let other = try await TinyRun.run(.tiny(), cores: 1, probe: true, fineTuningEpochs: 2) { other, _ in other
    }
    #expect(other.evaluation?.trained == summary.evaluation?.trained)
    #expect(other.evaluation?.untrained == summary.evaluation?.untrained)
    let without = try await TinyRun.run(.tiny(), probe: true) { without, _ in without }
    #expect(without.encoderDigest == summary.encoderDigest)
    #expect(without.probe?.trained == summary.probe?.trained)
    #expect(without.evaluation?.trained.nearestNeighbours == summary.evaluation?.trained.nearestNeighbours)
  }

  /// Reading the file gives the figures of the run.
  @Test func theCheckpointSaysWhatItIs() async throws {
    var plan = Plan.tiny()
    plan.augmentation.mean = [0.4, 0.5, 0.6]
    try await TinyRun.run(plan, probe: true) { summary, out in
      let checkpoint = try EncoderCheckpoint(
        parsing: Data(contentsOf: out.appendingPathComponent("encoder.safetensors")))
      #expect(checkpoint.configuration == plan.encoder)
      #expect(checkpoint.mean == plan.augmentation.mean)
      #expect(checkpoint.deviation == plan.augmentation.deviation)
      let evaluation = try EncoderEvaluation(
        train: DataSpec(parsing: "shapes:32").dataset(role: .train, for: .images(ImageInput(side: 16))),
        test: DataSpec(parsing: "shapes:30").dataset(role: .test, for: .images(ImageInput(side: 16))),
        seed: 1, threads: 2)
      #expect(try evaluation.accuracies(of: checkpoint) == summary.evaluation?.trained)
    }
  }

  @Test func theCheckpointHasTimmsNamesAndShapes() async throws {
    try await TinyRun.run(.tiny()) { summary, out in
      let file = try Safetensors(parsing: Data(contentsOf: out.appendingPathComponent("encoder.safetensors")))
      var wanted: [String: [Int]] = [
        "cls_token": [1, 1, 24], "pos_embed": [1, 17, 24], "patch_embed.proj.weight": [24, 3, 4, 4],
        "patch_embed.proj.bias": [24], "norm.weight": [24], "norm.bias": [24],
      ]
      for block in 0..<2 {
        for (name, shape) in [
          "norm1.weight": [24], "norm1.bias": [24], "attn.qkv.weight": [72, 24], "attn.qkv.bias": [72],
          "attn.proj.weight": [24, 24], "attn.proj.bias": [24], "norm2.weight": [24], "norm2.bias": [24],
          "mlp.fc1.weight": [96, 24], "mlp.fc1.bias": [96], "mlp.fc2.weight": [24, 96], "mlp.fc2.bias": [24],
        ] { wanted["blocks.\(block).\(name)"] = shape }
      }
      #expect(file.tensors.mapValues(\.shape) == wanted)
      #expect(file.tensors.values.allSatisfy { $0.values.allSatisfy { $0.isFinite } })
      // The digest is that of the same numbers in layout order.
      let model = Plan.tiny().stage(2).model
      let bytes = model.layout.entries.filter { file.tensors[$0.name] != nil }.reduce(into: Data()) {
        $0 += file.tensors[$1.name]!.values.withUnsafeBytes { Data($0) }
      }
      #expect(Digest(of: bytes).description == summary.encoderDigest)
    }
  }

  @Test func theTableHasALineForEachRound() async throws {
    let summary = try await TinyRun.summary(.tiny(rounds: 2))
    let lines = summary.table.split(separator: "\n")
    for round in summary.rounds {
      let line = lines.first { $0.split(separator: " ").prefix(2) == ["\(round.stage)", "\(round.round)"] }
      #expect(line?.contains(String(format: "%.4f", round.loss)) == true, "\(round)")
    }
    #expect(lines.contains { $0.contains(summary.encoderDigest.prefix(16)) })
    #expect(!summary.table.contains("linear probe"), "none was asked for")
  }
}
