import Datasets
import Engine
import Federation
import Foundation
import Support
import Testing

@Suite struct PlanWriterTests {
  @Test func writesWhatReadsBackEqual() throws {
    let seed = UInt64.random(in: 0 ... .max)
    print("PlanWriterTests: seed \(seed)")
    var numbers = RandomNumbers(seed: seed)
    for index in 0..<500 {
      let plan = Plan.random(&numbers)
      let text = plan.yaml()
      switch reading(text) {
      case .success(let read): #expect(read == plan, "seed \(seed), plan \(index):\n\(text)")
      case .failure(let error): Issue.record("seed \(seed), plan \(index):\n\(error)\n\(text)")
      }
      let coded = try JSONEncoder().encode(plan)
      #expect(try JSONDecoder().decode(Plan.self, from: coded) == plan, "seed \(seed), plan \(index)")
    }
  }

  @Test func writesEveryFieldOnALineOfItsOwn() {
    var plan = Plan(encoder: EncoderConfiguration(image: 32, patch: 4, width: 96, depth: 4, heads: 3))
    // encoder, heads, method, method.stageEnd, local, round, traffic, augmentation.
    let sections = 8
    let own = PlanField.all.filter { $0.belongs(to: plan) }
    let optional = own.filter {
      $0.path.wholeMatch(of: /\w+\.\w+\.\w+/) != nil && !$0.path.hasPrefix("method.stageEnd.")
    }.count
    #expect(plan.yaml().split(separator: "\n").count == own.count - optional + sections)
    plan.method.calibration = Plan.Calibration(data: "shapes:512")
    plan.method.regularisers.addAll()
    plan.method.classification = Plan.Classification(classes: .count(10))
    plan.method.regression = Plan.Regression()
    plan.method.cascade = Plan.Cascade()
    plan.method.infomax = GraphInfomaxConfiguration()
    plan.method.vicreg = VICRegConfiguration()
    plan.method.barlow = BarlowConfiguration()
    plan.method.masked = MaskedConfiguration.Settings()
    plan.augmentation.crops = LocalCrops(count: 2, size: 16)
    #expect(
      plan.yaml().split(separator: "\n").count
        == own.count + sections + 9 + RegulariserSections.all.count)
    let calibrated = "\n  calibration:\n    data: \"shapes:512\"\n    epochs: 1\n    every: round\n"
    #expect(plan.yaml().contains(calibrated))
  }

  /// The structs' synthesised coding contains all properties, so a field that the table lacks or misnames is detected.
  @Test(arguments: EncoderConfiguration.Family.allCases)
  func writesEachPropertyUnderItsOwnName(family: EncoderConfiguration.Family) throws {
    var numbers = RandomNumbers(seed: 5)
    var plan = Plan.random(&numbers)
    while plan.encoder.family != family { plan = Plan.random(&numbers) }
    plan.method.calibration = Plan.Calibration(data: "shapes:512", epochs: 77, every: .rounds(78))
    plan.method.regularisers.addAll()
    plan.method.classification = Plan.Classification(
      classes: .count(82), hidden: 83, smoothing: 0.5, grid: 84)
    plan.method.regression = Plan.Regression()
    plan.method.cascade = Plan.Cascade(confidence: 0.85, gate: 0.625)
    plan.method.infomax = GraphInfomaxConfiguration(prediction: 88, variance: 89, covariance: 90, hops: 91)
    plan.method.vicreg = VICRegConfiguration(similarity: 93, variance: 94, covariance: 95)
    plan.method.barlow = BarlowConfiguration(offDiagonal: 0.3125)
    plan.method.masked = MaskedConfiguration.Settings(ratio: 0.375, width: 96, blocks: 97, heads: 98)
    plan.augmentation.crops = LocalCrops(count: 33, size: 34, area: 0.125...0.25)
    // A random name can contain characters whose escapes have digits.
    plan.name = "job 75"
    plan.initial = "encoder-76.safetensors"
    plan.method.stageEnd = Plan.StageEnd(
      .controller, window: 85, improvement: 0.75, minimum: 86, model: "controller-87.json")
    plan.augmentation.blurKernel = 79
    plan.local.views = 80
    plan.local.neighbours = [91, 92]
    plan.local.memory = ByteCount(bytes: 80_000_000)
    plan.round.maxSamples = 81
    let json = try JSONSerialization.jsonObject(with: JSONEncoder().encode(plan))
    let fields = leaves(ofYAML: plan.yaml())
    // In JSON the regularisers are an object of their own, and the fields of other families are kept.
    let others = Set(PlanField.all.filter { !$0.belongs(to: plan) }.map(\.path))
    let properties = Dictionary(
      uniqueKeysWithValues: leaves(of: json, at: "").map {
        ($0.key.replacing("method.regularisers.", with: "method."), $0.value)
      }
    ).filter { !others.contains($0.key) }
    #expect(Set(properties.keys) == Set(fields.keys))
    #expect(Set(fields.keys) == Set(PlanField.all.filter { $0.belongs(to: plan) }.map(\.path)))
    for (path, property) in properties {
      #expect(numbersIn(property) == numbersIn(fields[path] ?? ""), "\(path)")
    }
  }

  private func leaves(of json: Any, at path: String) -> [String: String] {
    guard let object = json as? [String: Any] else { return [path: "\(json)"] }
    return object.reduce(into: [:]) { all, entry in
      let inner = path.isEmpty ? entry.key : "\(path).\(entry.key)"
      all.merge(leaves(of: entry.value, at: inner)) { one, _ in one }
    }
  }

  private func leaves(ofYAML text: String) -> [String: String] {
    var sections: [String] = []
    var all: [String: String] = [:]
    for line in text.split(separator: "\n") {
      let depth = line.prefix { $0 == " " }.count / 2
      let parts = line.dropFirst(2 * depth).split(separator: ":", maxSplits: 1).map(String.init)
      sections = sections.prefix(depth) + [parts[0]]
      if parts.count == 2 { all[sections.joined(separator: ".")] = parts[1] }
    }
    return all
  }

  /// The notations of numbers differ, so numbers are compared by value; a Boolean is 0 or 1 in one of them.
  private func numbersIn(_ text: String) -> [Float] {
    let text = text.replacing("false", with: "0").replacing("true", with: "1")
    return text.split { !"+-.eE0123456789".contains($0) }.compactMap { Float($0) }
  }
}
