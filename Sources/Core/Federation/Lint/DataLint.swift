import Engine
import Support

/// Rules on the data of the clients.
extension LintRule {
  static let ofData: [LintRule] = [
    LintRule("labels") { plan, data in
      data.labelWarnings.map { Advice("data", value: data.description, $0) }
    },
    LintRule("batch of the smallest client") { plan, data in
      guard !plan.isRegression, let smallest = data.sizes.min(), smallest < plan.local.batch else {
        return []
      }
      let few = data.sizes.count { $0 < plan.local.batch }
      return [
        Advice(
          "local.batch",
          "\(few) of \(counted(data.sizes.count, "client")) have fewer \(data.noun)s, the smallest \(smallest), and train on batches of all they have",
          "\(max(smallest, 2)) or less")
      ]
    },
    LintRule("cohort of all clients") { plan, data in
      guard plan.round.cohort > data.sizes.count else { return [] }
      return [
        Advice(
          "round.cohort", "there are \(counted(data.sizes.count, "client")), so every round waits for more",
          "\(data.sizes.count)")
      ]
    },
    LintRule("almost empty clients") { plan, data in
      guard !plan.isRegression, data.sizes.count > 1, let smallest = data.sizes.min(), smallest < 8 else {
        return []
      }
      let few = data.sizes.count { $0 < 8 }
      return [
        Advice(
          "data", value: data.description,
          "\(few) of \(data.sizes.count) clients have fewer than 8 \(data.noun)s, the smallest \(smallest)",
          "fewer clients, more data or a larger BETA")
      ]
    },
    LintRule("one class a client") { plan, data in
      guard plan.method.objective == .classification, let classes = data.classes else { return [] }
      let single = classes.count { $0 < 2 }
      guard single > 0 else { return [] }
      return [
        Advice(
          "data", value: data.description,
          "\(single) of \(counted(classes.count, "client")) have a single class, which a classifier learns by always predicting it"
        )
      ]
    },
    LintRule("calibration on the clients' data") { plan, data in
      guard let calibration = plan.method.calibration, calibration.data == data.description else { return [] }
      return [
        Advice(
          "method.calibration.data",
          "the server calibrates on the data of the clients, which a deployment's server does not have")
      ]
    },
    LintRule("deadline of a training") { plan, data in
      guard let largest = data.sizes.max(), largest > 1, plan.encoder.input.isImages else { return [] }
      let seconds = (1...plan.stages).map { stage in
        let model = plan.stage(stage)
        let options = plan.trainingOptions(.whole, stage: stage, images: largest)
        let operations = OperationCount.step(
          model, batch: options.batch, branches: options.branches(of: model.model.objective).count,
          localViews: options.localViews, lastBlock: .readout)
        return Double(operations) * Double(options.epochs * (largest / options.batch)) / fastDevice
      }
      guard let longest = seconds.max(), longest > Double(plan.round.deadline.milliseconds) / 1000 else {
        return []
      }
      return [
        Advice(
          "round.deadline",
          "the largest client, of \(counted(largest, data.noun)), needs at least \(Int(longest.rounded(.up))) s a round at 10^12 operations a second",
          "'fedclient check --plan' measures a device")
      ]
    },
  ]

  /// The operations a second of a device with many fast cores.
  private static let fastDevice = 1e12
}
