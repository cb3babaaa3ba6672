import Engine
import Federation
import Foundation

/// The costs of a plan for a client, computed without training: by the conventions of LW-FedSSL's tables and as
/// implemented here, compared with the other strategies, numbers of layers per stage and depth dropout. The names are
/// those of `fedsim account --json`.
package struct Account: Sendable, Hashable, Codable {
  /// A variant that trains the plan's encoder in the plan's rounds.
  package struct Line: Sendable, Hashable, Codable {
    package let strategy: Strategy
    package let layersPerStage: Int
    /// The maximum number of blocks that run at a client; 0 for all.
    package let activeBlocks: Int
    /// When the server calibrates; nil for never.
    package let calibration: Plan.Calibration.Interval?
    /// Whether this is the plan's variant.
    package let isPlan: Bool
    package let paper: PaperFigures
    package let planned: PlannedFigures
  }

  package let name: String
  package let encoder: EncoderConfiguration
  package let objective: ObjectiveKind
  package let rounds: Int
  package let localEpochs: Int
  package let batch: Int
  /// When the plan's server calibrates; nil for never.
  package let calibration: Plan.Calibration.Interval?
  /// The number of a client's images.
  package let images: Int
  /// The three strategies, end-to-end first, and layer-wise with a calibration after every round.
  package let strategies: [Line]
  /// Layer-wise and progressive training with other numbers of layers per stage and with depth dropout; empty for an
  /// encoder that supports neither.
  package let growth: [Line]
  /// The exits of a layer-wise classification; nil for other plans.
  package let exits: ExitAccount?

  /// Uses a client with `images` images; nil for the size of one batch.
  ///
  /// - Parameter remaining: The shares of the images that a cascade leaves for the stages after the first.
  package init(_ plan: Plan, images: Int? = nil, remaining: [Double] = []) {
    let images = images ?? plan.local.batch
    func line(_ variant: Plan) -> Line {
      Line(
        strategy: variant.method.strategy, layersPerStage: variant.method.layersPerStage,
        activeBlocks: variant.method.activeBlocks, calibration: variant.method.calibration?.every,
        isPlan: variant == plan, paper: PaperFigures(variant),
        planned: PlannedFigures(variant, images: images))
    }
    (name, encoder, objective, rounds) = (plan.name, plan.encoder, plan.method.objective, plan.mostRounds)
    (localEpochs, batch, self.images) = (plan.local.epochs, min(plan.local.batch, images), images)
    calibration = plan.method.calibration?.every
    var strategies = [Strategy.endToEnd, .layerWise, .progressive].map { plan.with($0) }
    if plan.method.strategy == .headOnly { strategies.append(plan) }
    // A server calibrates with images.
    if calibration != .round, plan.encoder.input.isImages {
      strategies.append(strategies[1].calibratedEveryRound)
    }
    self.strategies = strategies.map(line)
    growth = Self.growth(plan).map(line)
    exits = ExitAccount(plan, images: images, remaining: remaining)
  }

  /// Returns the plans of the second table: the paper's numbers of layers per stage that divide the depth, and one
  /// layer per stage with depth dropout to the plan's number of blocks, or to half of all. Omits plans with fewer
  /// rounds than stages.
  private static func growth(_ plan: Plan) -> [Plan] {
    let depth = plan.encoder.depth
    guard plan.encoder.family == .vit, depth > 1 else { return [] }
    let active = plan.method.activeBlocks > 0 ? plan.method.activeBlocks : depth / 2
    let layers = [1, 2, 3, 4, 6].filter {
      $0 < depth && depth % $0 == 0 && depth / $0 <= plan.with(.endToEnd).mostRounds
    }
    // The exits of a classification need all blocks below them.
    let hasDropout = layers.first == 1 && plan.method.classification == nil
    let variants = layers.map { ($0, 0) } + (hasDropout ? [(1, active)] : [])
    return [Strategy.layerWise, .progressive].flatMap { strategy in
      variants.map { plan.with(strategy).with(layersPerStage: $0, activeBlocks: $1) }
    }
  }

  /// The line that the others are compared with.
  package var endToEnd: Line { strategies[0] }
}

/// An account as text for a terminal.
extension Account {
  package var table: String {
    var lines = summary + [""] + Self.heading("strategy")
    lines += strategies.map { row($0, name: name(of: $0)) }
    for strategy in [Strategy.layerWise, .progressive] {
      let part = growth.filter { $0.strategy == strategy }
      guard !part.isEmpty else { continue }
      lines += [""] + Self.heading("\(strategy.rawValue), layers")
      lines += part.map { row($0, name: Self.growthName(of: $0)) }
    }
    if let exits { lines += [""] + exits.lines }
    return (lines + ["", Self.legend]).joined(separator: "\n") + "\n"
  }

  private var summary: [String] {
    let calibration = calibration.map {
      switch $0 {
      case .round: ", calibrated every round"
      case .rounds(let interval): ", calibrated every \(interval) rounds"
      case .stage: ", calibrated every stage"
      }
    }
    return [
      "\(name): \(encoder.family.rawValue) of \(encoder.depth) blocks, \(objective.rawValue), \(rounds) rounds of "
        + "\(localEpochs) epochs\(calibration ?? "")",
      "a client of \(images) images in batches of \(batch)",
    ]
  }

  private func name(of line: Line) -> String {
    line.strategy.rawValue + (line.calibration == calibration ? "" : ", calibrated")
  }

  private static func growthName(of line: Line) -> String {
    "\(line.layersPerStage)" + (line.activeBlocks > 0 ? ", \(line.activeBlocks) active" : "")
  }

  private static let legend = """
    *           the plan; calibrated: by the server, after every round
    x           how many times as much end-to-end training takes
    paper       LW-FedSSL's conventions: traffic down and up in MiB / 1000; 10^9 operations on one view of an
                image over all epochs, a multiply-accumulate being one
    software    weights that travel, in MB; 10^9 operations on an image over all epochs in all views and
                branches, a multiply-accumulate being two; a trainer's memory in MB at its largest stage
    """

  /// The widths of the columns; the first is aligned left.
  private static let (first, paper, planned) = (24, [8, 6, 7, 6], [9, 8, 6, 8, 6, 8, 7, 6])

  private static func heading(_ title: String) -> [String] {
    let gap = first + paper.reduce(0, +)
    return [
      left("", first + 2) + left("paper", gap - first) + "software",
      left(title, first) + right(["traffic", "x", "GFLOPs", "x"], paper)
        + right(["down", "up", "x", "GFLOPs", "x", "memory", "x", "stage"], planned),
    ]
  }

  private func row(_ line: Line, name: String) -> String {
    let (theirs, ours) = (endToEnd.paper, endToEnd.planned)
    let paper = [
      Self.number(line.paper.traffic, digits: 2), Self.ratio(theirs.traffic, line.paper.traffic),
      Self.number(line.paper.gigaflops), Self.ratio(theirs.gigaflops, line.paper.gigaflops),
    ]
    let planned = [
      Self.megabytes(line.planned.bytesDown), Self.megabytes(line.planned.bytesUp),
      Self.ratio(Double(ours.bytes), Double(line.planned.bytes)),
      Self.number(line.planned.gigaflopsPerImage),
      Self.ratio(ours.gigaflopsPerImage, line.planned.gigaflopsPerImage),
      Self.megabytes(line.planned.memoryBytes),
      Self.ratio(Double(ours.memoryBytes), Double(line.planned.memoryBytes)), "\(line.planned.memoryStage)",
    ]
    return Self.left("\(line.isPlan ? "*" : " ") \(name)", Self.first) + Self.right(paper, Self.paper)
      + Self.right(planned, Self.planned)
  }

  private static func number(_ value: Double, digits: Int = 0) -> String {
    // Without decimals, the figures of a small plan would be zeros.
    String(format: "%.*f", value < 10 ? 2 : digits, value)
  }

  private static func megabytes(_ bytes: Int) -> String { number(Double(bytes) / 1e6) }

  private static func ratio(_ whole: Double, _ part: Double) -> String {
    part > 0 ? String(format: "%.2f", whole / part) : "-"
  }

  private static func left(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(width - text.count, 0))
  }

  private static func right(_ texts: [String], _ widths: [Int]) -> String {
    zip(texts, widths).reduce("") {
      $0 + String(repeating: " ", count: max($1.1 - $1.0.count, 1)) + $1.0
    }
  }
}
