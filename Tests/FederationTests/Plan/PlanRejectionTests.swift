import Federation
import Testing

@Suite struct PlanRejectionTests {
  @Test(arguments: [
    ("", "plan.yaml:1: is empty; a plan needs at least an encoder"),
    ("# only a remark\n", "plan.yaml:1: is empty; a plan needs at least an encoder"),
    ("~", "plan.yaml:1: is empty; a plan needs at least an encoder"),
    ("- a\n- b", "plan.yaml:1: is a list; must be a mapping of fields to values"),
    ("vit", "plan.yaml:1: is 'vit'; must be a mapping of fields to values"),
    ("a: 1\n\tb: 2", "plan.yaml:2: is not YAML: "),
    ("a: 1\nb: [1, 2\n", "plan.yaml:3: is not YAML: "),
    ("a: *nothing", "plan.yaml:1: is not YAML: found undefined alias"),
    ("a: 1\n---\nb: 2", "plan.yaml:2: is not YAML: but found another document"),
    ("name: a\nb: \u{1}", "plan.yaml:2: is not YAML: control characters are not allowed"),
    ("seed: 1\nname: a\nname: b", "plan.yaml:2: name: is given more than once, first here"),
    ("seed: 1\nseed: 2\nseed: 3", "plan.yaml:1: seed: is given more than once, first here"),
    ("method: {temperature: 1, temperature: 2}", "plan.yaml:1: method.temperature: is given more than once"),
    (
      "method:\n  objective: byol\nlocal:\n  epochs: 1\n  epochs: 2",
      "plan.yaml:4: local.epochs: is given more than"
    ),
    (
      "method:\n  calibration:\n    epochs: 1\n    epochs: 1\nlocal: {epochs: 1}",
      "plan.yaml:3: method.calibration.epochs: is given more than once"
    ),
    (
      "method: {calibration: {}, calibration: {}}", "plan.yaml:1: method.calibration: is given more than once"
    ),
    ("local: {speed: 1, speed: 2}", "plan.yaml:1: speed: is given more than once"),
  ])
  func rejectsWhatIsNoPlan(text: String, complaint: String) throws {
    let lines = complaints(text)
    #expect(lines.count == 1)
    let line = try #require(lines.first)
    #expect(line.hasPrefix(complaint), "\(line)")
  }

  @Test(arguments: [
    ("method: {layersPerStage: 3}", "method.layersPerStage: is 3, which does not divide"),
    ("method: {layersPerStage: 0}", "method.layersPerStage: is '0'; must be: integer 1 … 256"),
    ("method: {roundsPerStage: [1, 2]}", "method.roundsPerStage: has 2 entries for 4 stages of 1 blocks"),
    ("method: {roundsPerStage: [1, 2, 0, 4]}", "method.roundsPerStage: entry 3 is '0'; must be"),
    ("method: {roundsPerStage: []}", "method.roundsPerStage: has 0 entries"),
    ("method: {roundsPerStage: {a: 1}}", "method.roundsPerStage: is a mapping; must be"),
    (
      "method: {objective: dino}",
      "method.objective: is 'dino'; this version knows simclr, mocov3, byol, vicreg, barlow, masked, classification"
    ),
    (
      "method: {objective: classification, classification: {classes: 1}}",
      "method.classification.classes: is '1'; must be: integer 2 … 100000"
    ),
    ("method: {momentum: 1.5}", "method.momentum: is '1.5'; must be: number 0 … 1"),
    ("method: {activeBlocks: 1, layersPerStage: 2}", "method.activeBlocks: is 1, less than the 2 blocks"),
    ("method: {activeBlocks: 2, strategy: end-to-end}", "method.activeBlocks: is 2; end-to-end runs all"),
    ("method: {temperature: -1}", "method.temperature: is '-1'"),
    ("method: {temperature: nan}", "method.temperature: is 'nan'"),
    ("method: {temperature: .inf}", "method.temperature: is '.inf'"),
    ("method: {temperature: 1e39}", "method.temperature: is '1e39'"),
    ("method: {temperature: 1e-60}", "method.temperature: is '1e-60'"),
    ("method: {temperature: 0x1p-2}", "method.temperature: is '0x1p-2'"),
    ("method: {temperature: \"0.2\"}", "method.temperature: is text, in quotes"),
    ("method: {calibration: none}", "method.calibration: is 'none'; must be a mapping"),
    ("method: {calibration: {}}", "method.calibration.data: is missing"),
    ("method: {calibration: {epochs: 2}}", "method.calibration.data: is missing"),
    ("method: {calibration: {data: 'shapes:8', every: 0}}", "method.calibration.every: is '0'"),
    ("method: {calibration: {data: 'shapes:8', every: week}}", "method.calibration.every: is 'week'"),
    ("method: {calibration: {data: ''}}", "method.calibration.data: is ''"),
    ("method: {calibration: {data: 'nope:1'}}", "method.calibration.data: is 'nope:1': "),
    ("method: {calibration: {data: 5}}", "method.calibration.data: is '5': not of the form"),
    ("round: {epochs: 1}", "round.epochs: is not a field of a plan; did you mean local.epochs?"),
    ("heads: {bias: 1}", "heads.bias: is '1'; must be: true or false"),
    ("heads: [1]", "heads: is a list; must be a mapping"),
    ("local: {batch: 65537}", "local.batch: is '65537'; must be: integer 2 … 65536"),
    ("local: {batch: 9223372036854775808}", "local.batch: is '9223372036854775808'"),
    ("local: {epochs: 1.5}", "local.epochs: is '1.5'"),
    ("local: {epochs: }", "local.epochs: is empty"),
    ("local: {learningRate: fast}", "local.learningRate: is 'fast'"),
    ("local: {schedule: Cosine}", "local.schedule: is 'Cosine'; this version knows constant, cosine"),
    ("local: {? [a, b] : 1}", "local: has a list as a key"),
    ("round: {quorum: 0}", "round.quorum: is '0'"),
    ("round: {cohort: 2, quorum: 3}", "round.quorum: is 3, more than the cohort of 2"),
    ("round: {cohort: 5, minimumClients: 4}", "round.minimumClients: is 4, less than the cohort of 5"),
    ("round: {cohort: 10001}", "round.cohort: is '10001'; must be: integer 1 … 10000"),
    ("round: {aggregation: mode}", "round.aggregation: is 'mode'; this version knows mean, median, trimmed-"),
    ("round: {aggregation: trimmed-mean, cohort: 4, quorum: 2}", "round.trim: is 1; must be less than half"),
    ("round: {deadline: 1.5h}", "round.deadline: is '1.5h'; must be a whole number"),
    ("round: {deadline: 0s}", "round.deadline: is '0s'; must be: duration 1ms … 168h"),
    ("round: {deadline: 169h}", "round.deadline: is '169h'"),
    ("round: {dedline: 1h}", "round.dedline: is not a field of a plan; did you mean round.deadline?"),
    ("rounds: {cohort: 4}", "rounds: is not a field of a plan; did you mean round?"),
    ("lcoal: {batch: 4}", "lcoal: is not a field of a plan; did you mean local?"),
    ("zebra: 1", "zebra: is not a field of a plan"),
    ("\"\": 1", "is not a field of a plan"),
    ("<<: {seed: 2}", "<<: is not a field of a plan"),
    ("seed: -1", "seed: is '-1'"),
    ("initial: ''", "initial: is ''; must be: "),
    ("initial: ~", "initial: is empty; must be: text of 1"),
    ("initial: [a]", "initial: is a list"),
    ("initial: \"a\\nb\"", "initial: is 'a\\nb'; must not contain control characters"),
    ("seed: 18446744073709551616", "seed: is '18446744073709551616'"),
    ("name: ~", "name: is empty; must be: text of 1 … 100 characters"),
    ("name: \"a\\nb\"", "name: is 'a\\nb'; must not contain control characters"),
    ("augmentation: {cropArea: [0.5, 0.2]}", "augmentation.cropArea: is [0.5, 0.2]; the least must come"),
    ("augmentation: {cropArea: 0.5}", "augmentation.cropArea: is '0.5'; must be: list"),
    ("augmentation: {blur: [0.5]}", "augmentation.blur: has 1 entries"),
    ("augmentation: {cropArea: [0.5, 1.5]}", "augmentation.cropArea: entry 2 is '1.5'"),
    ("augmentation: {cropRatio: [0, 1]}", "augmentation.cropRatio: entry 1 is '0'"),
    ("augmentation: {padding: -1}", "augmentation.padding: is '-1'; must be: integer 0 … 512"),
    ("augmentation: {padding: 1.5}", "augmentation.padding: is '1.5'"),
    ("augmentation: {padding: 17}", "augmentation.padding: is 17, more than half of the image's 32 pixels"),
    ("augmentation: {flip: -0.1}", "augmentation.flip: is '-0.1'"),
    ("augmentation: {jitter: nan}", "augmentation.jitter: is 'nan'"),
    ("augmentation: {brightness: -1}", "augmentation.brightness: is '-1'"),
    ("augmentation: {contrast: .inf}", "augmentation.contrast: is '.inf'"),
    ("augmentation: {saturation: 2.1}", "augmentation.saturation: is '2.1'"),
    ("augmentation: {grayscale: 2}", "augmentation.grayscale: is '2'"),
    ("augmentation: {blurKernel: 4}", "augmentation.blurKernel: is '4'; must be: auto, or odd integer"),
    ("augmentation: {blurKernel: -1}", "augmentation.blurKernel: is '-1'"),
    ("augmentation: {blurKernel: 65}", "augmentation.blurKernel: is 65, more than images of 32 pixels"),
    ("augmentation: {blurSigma: [0, 1]}", "augmentation.blurSigma: entry 1 is '0'"),
    ("augmentation: {solarize: [0, 1.1]}", "augmentation.solarize: entry 2 is '1.1'"),
    ("augmentation: {solarizeThreshold: 3}", "augmentation.solarizeThreshold: is '3'"),
    ("augmentation: {mean: []}", "augmentation.mean: has 0 entries"),
    ("augmentation: {hue: 0.6}", "augmentation.hue: is '0.6'; must be: number 0 … 0.5"),
    ("augmentation: {mean: [0.5, 0.5]}", "augmentation.mean: has 2 entries; must have one for all"),
    ("augmentation: {deviation: [0]}", "augmentation.deviation: entry 1 is '0'"),
  ])
  func rejectsAnImpossibleField(line: String, complaint: String) throws {
    let lines = complaints(plan(with: line))
    #expect(lines.count == 1, "\(lines)")
    let found = try #require(lines.first)
    #expect(found.hasPrefix("plan.yaml:2: " + complaint), "\(found)")
  }

  @Test(arguments: [
    ("image: 1025, patch: 1, width: 96, depth: 4, heads: 3", "encoder.image: is '1025'; must be"),
    ("image: 1024, patch: 8, width: 96, depth: 4, heads: 3", "encoder.patch: is 8, which makes 16384"),
    ("image: 32, patch: 4, width: 8193, depth: 4, heads: 3", "encoder.width: is '8193'"),
    ("image: 32, patch: 4, width: 96, depth: 257, heads: 3", "encoder.depth: is '257'"),
    ("image: 32, patch: 4, width: 8192, depth: 256, heads: 8", "encoder.width: gives blocks of 2061584"),
    ("image: 32, patch: 0, width: 96, depth: 4, heads: 3", "encoder.patch: is '0'"),
    ("family: mlp, image: 32, patch: 4, width: 96, depth: 4, heads: 3", "encoder.family: is 'mlp'"),
    ("family: resnet, image: 32, width: 16, patch: 4", "encoder.patch: is not a field of a resnet encoder"),
    ("family: resnet, image: 32, width: 16, depth: 5", "encoder.depth: is 5; a resnet has 4 layers"),
    ("family: resnet, image: 36, width: 16", "encoder.image: is 36; each layer of a resnet but the first"),
    ("image: 32, patch: 4, width: 96, heads: 3", "encoder.depth: is missing"),
  ])
  func rejectsAnImpossibleEncoder(encoder: String, complaint: String) {
    let lines = complaints("encoder: {\(encoder)}")
    #expect(lines.count == 1)
    #expect(lines.first?.hasPrefix("plan.yaml:1: " + complaint) == true, "\(lines)")
  }

  @Test func survivesHugeAndStrangeTexts() {
    let texts = [
      String(repeating: "[", count: 100_000), String(repeating: "a: ", count: 50_000),
      String(repeating: "- ", count: 100_000), "\(String(repeating: "k", count: 100_000)): 1",
      "name: \(String(repeating: "n", count: 100_000))", String(repeating: "#", count: 1_000_000), "\0",
      "{", "!!binary x: 1", "&a [*a]", "%YAML 9.9\n---\na: 1",
    ]
    for text in texts {
      let lines = complaints(text)
      #expect(!lines.isEmpty)
      #expect(lines.allSatisfy { $0.count < 300 }, "\(lines.map { $0.prefix(400) })")
    }
  }

  @Test func takesNoPathForAField() {
    #expect(
      complaints(plan(with: "method.temperature: 1")) == [
        "plan.yaml:2: method.temperature: is not a field of a plan; sections are mappings, not dots"
      ])
  }
}
