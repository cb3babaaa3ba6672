import Datasets
import Engine
import Federation
import Foundation
import Support

/// The loss of deep linear networks of several depths by sweep of block coordinate descent, on the same rows and from
/// several starts (arXiv 1910.05874).
package struct DepthSweeps: Sendable {
  package struct Settings: Sendable {
    package var depths: [Int]
    /// The width between the matrices.
    package var width: Int
    package var sweeps: Int
    package var order: SweepOrder
    package var start: DeepLinearStart
    /// The number of starts, whose medians are reported.
    package var starts: Int
    package var seed: UInt64

    package init(
      depths: [Int] = [1, 2, 3, 5, 10, 20, 50], width: Int = 20, sweeps: Int = 10,
      order: SweepOrder = .ascending, start: DeepLinearStart = .orthogonal, starts: Int = 9, seed: UInt64 = 1
    ) {
      (self.depths, self.width, self.sweeps, self.order) = (depths, width, sweeps, order)
      (self.start, self.starts, self.seed) = (start, starts, seed)
    }
  }

  private let settings: Settings
  private let rows: FeatureRows

  /// Creates the runs on rows with targets.
  package init(_ settings: Settings, _ rows: FeatureRows) { (self.settings, self.rows) = (settings, rows) }

  /// Runs all depths. Calls `progress` after each start of a depth, on any thread.
  package func run(
    data: String, command: String, workers: Workers, progress: @Sendable () -> Void = {}
  ) throws -> SweepReport {
    let statistics = RowStatistics(rows, workers: workers)
    let (optimum, count) = (statistics.leastSquares(), Double(rows.count))
    let moments = statistics.secondMoments
    let depths = try settings.depths.map { depth in
      let starts = try workers.map(settings.starts) { start in
        defer { progress() }
        let own = RowStatistics(rows, workers: Workers(1), moments: moments)
        return course(of: depth, seed: settings.seed &+ UInt64(start), own, optimum)
      }
      return row(
        depth, starts.map { $0.map { Point(loss: $0.loss / count, excess: $0.excess.map { $0 / count }) } })
    }
    let least = optimum.map { Self.loss(of: $0, statistics) / count }
    return SweepReport(
      data: data, rows: rows.count, inputs: rows.inputCount, targets: rows.targetCount, width: settings.width,
      order: settings.order, start: settings.start, starts: settings.starts, seed: settings.seed,
      leastSquares: least, depths: depths, command: command)
  }

  /// The loss at a time, and the loss above that of least squares if that is unique.
  private struct Point: Sendable {
    let loss: Double
    let excess: Double?
  }

  /// Returns the loss before the first sweep and after each.
  private func course(of depth: Int, seed: UInt64, _ rows: RowStatistics, _ optimum: [Double]?) -> [Point] {
    let network = DeepLinearNetwork(shape(depth))
    network.draw(settings.start, seed: seed)
    func point() -> Point {
      let map = network.map()
      let values = map.matrix.array()
      // The loss above the least one is ½ ‖(M - M*) X‖², which does not cancel.
      let excess = optimum.map { optimum in
        map.matrix.set(zip(values, optimum).map(-))
        return rows.squaredNorm(of: map.matrix) / 2
      }
      return Point(loss: network.loss(rows), excess: excess)
    }
    return [point()]
      + (0..<settings.sweeps).map { _ in
        network.sweep(settings.order, on: rows)
        return point()
      }
  }

  private func shape(_ depth: Int) -> DeepLinearShape {
    DeepLinearShape(
      inputs: rows.inputCount, outputs: rows.targetCount, width: settings.width, depth: depth)
  }

  private static func loss(of map: [Double], _ rows: RowStatistics) -> Double {
    let box = DoubleBox(rows.targets, rows.inputs)
    let gradient = DoubleBox(rows.targets, rows.inputs)
    box.matrix.set(map)
    return rows.residuals(of: box.matrix, into: gradient.matrix)
  }

  private func row(_ depth: Int, _ starts: [[Point]]) -> SweepReport.Depth {
    let sweeps = 0...settings.sweeps
    let left = sweeps.map { sweep in
      starts.compactMap { points in points[sweep].excess.flatMap { now in points[0].excess.map { now / $0 } }
      }
    }
    return SweepReport.Depth(
      depth: depth, updates: depth,
      losses: sweeps.map { sweep in Self.median(starts.map { $0[sweep].loss }) ?? .nan },
      left: left.compactMap(Self.median).count == left.count ? left.compactMap(Self.median) : nil,
      traffic: SweepTraffic(plan(depth)))
  }

  private static func median(_ values: [Double]) -> Double? {
    values.isEmpty ? nil : values.sorted()[values.count / 2]
  }

  /// Returns the plan of a federation with this network.
  private func plan(_ depth: Int) -> Plan {
    var network = DeepLinearConfiguration(features: rows.inputCount, width: settings.width, depth: depth)
    network.outputs = rows.targetCount
    var plan = Plan(encoder: EncoderConfiguration(network))
    plan.method = Plan.Method(
      laps: 2, roundsPerStage: .each(1), initialisation: .random, objective: .regression, alignment: 0)
    plan.method.regression = Plan.Regression(order: settings.order)
    return plan
  }
}

/// The bytes that travel between the server and a client in a sweep after the first, up and down.
package struct SweepTraffic: Sendable, Hashable, Codable {
  /// Gradients with second moments; gradients with a second round; and, for comparison, the matrices themselves, whose
  /// mean is no exact step.
  package let moments, exchange, weights: Int

  /// Calculates the traffic of a plan of a regression with two laps.
  init(_ plan: Plan) {
    func bytes(_ statistics: Plan.Regression.Statistics) -> Int {
      var plan = plan
      plan.method.regression = Plan.Regression(order: plan.regression.order, statistics: statistics)
      let rounds = PlannedTraffic(plan).rounds.filter { $0.key.stage > plan.steps }
      return rounds.reduce(0) { $0 + $1.bytesUp + $1.bytesDown }
    }
    (moments, exchange) = (bytes(.moments), bytes(.exchange))
    weights = 2 * (1...plan.steps).reduce(0) { $0 + 4 * plan.stage($1).count }
  }
}

/// The report of `fedsim sweeps`. The names are those of sweeps.json.
package struct SweepReport: Sendable, Codable {
  /// The medians of a depth over the starts.
  package struct Depth: Sendable, Codable {
    package let depth: Int
    /// The updates of a matrix in a sweep.
    package let updates: Int
    /// The mean over the rows of ½ ‖f(x) - y‖², before the first sweep and after each.
    package let losses: [Double]
    /// The loss above that of least squares as a share of that before the first sweep; nil if the inputs are linearly
    /// dependent.
    package let left: [Double]?
    package let traffic: SweepTraffic
  }

  package let data: String
  package let rows, inputs, targets, width: Int
  package let order: SweepOrder
  package let start: DeepLinearStart
  package let starts: Int
  package let seed: UInt64
  /// The loss of least squares; nil if the inputs are linearly dependent.
  package let leastSquares: Double?
  package let depths: [Depth]
  package let command: String

  /// Writes sweeps.html, sweeps.json and sweeps.csv to a folder.
  package func write(to folder: URL) throws {
    try Data(SweepPage(self).html.utf8).write(to: folder.appendingPathComponent("sweeps.html"))
    try JSON.shown(self).write(to: folder.appendingPathComponent("sweeps.json"))
    try Data(csv.utf8).write(to: folder.appendingPathComponent("sweeps.csv"))
  }

  /// A line for each depth and sweep.
  package var csv: String {
    var table = CSV(["depth", "sweep", "updates", "loss", "left"])
    for depth in depths {
      for (sweep, loss) in depth.losses.enumerated() {
        table.append([
          "\(depth.depth)", "\(sweep)", "\(sweep * depth.updates)", "\(loss)",
          depth.left.map { "\($0[sweep])" },
        ])
      }
    }
    return table.text
  }

  /// The sweeps that tables show: 1, 2, 5, 10, 20 … and the last.
  package var shownSweeps: [Int] {
    let last = (depths.first?.losses.count ?? 1) - 1
    let steps = (0..<6).flatMap { power in [1, 2, 5].map { $0 * Int(pow(10, Double(power))) } }
    return steps.filter { $0 < last } + (last > 0 ? [last] : [])
  }

  /// Returns the value of a table after a sweep: what is left or, without least squares, the loss.
  func value(_ depth: Depth, _ sweep: Int) -> String {
    String(format: "%.2g", depth.left?[sweep] ?? depth.losses[sweep])
  }

  /// What the values of tables are.
  var valueName: String { leastSquares == nil ? "loss" : "left" }

  /// The table for a terminal.
  package var table: String {
    func cell(_ text: String, _ width: Int) -> String {
      String(repeating: " ", count: max(width - text.count, 1)) + text
    }
    var lines = [
      "\(counted(rows, "row")), \(counted(inputs, "input")), \(counted(targets, "target")); width \(width), \(order.rawValue), \(start.rawValue) start, medians of \(counted(starts, "start"))",
      leastSquares.map { String(format: "least squares: loss %.6g", $0) }
        ?? "the inputs are linearly dependent",
      "",
      cell("", 17) + cell("\(valueName) after sweep", 10 * shownSweeps.count)
        + "     bytes a sweep and client",
      cell("depth", 6) + cell("loss", 11) + shownSweeps.map { cell("\($0)", 10) }.joined()
        + cell("moments", 10) + cell("exchange", 10) + cell("weights", 10),
    ]
    for depth in depths {
      let bytes = [depth.traffic.moments, depth.traffic.exchange, depth.traffic.weights]
      lines.append(
        cell("\(depth.depth)", 6) + cell(String(format: "%.4g", depth.losses[0]), 11)
          + shownSweeps.map { cell(value(depth, $0), 10) }.joined() + bytes.map { cell("\($0)", 10) }.joined()
      )
    }
    return lines.joined(separator: "\n")
  }
}
