import ArgumentParser
import Commands
import Datasets
import Engine
import Federation
import Simulation

struct LintCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lint",
    abstract: "Warns of values of a plan that are allowed and rarely intended.",
    usage: "fedsim lint <plan> [<options>]",
    discussion: """
      Prints a line for each finding: the field, its value, the reason and, where there is one, a suggestion. With \
      --data it also looks at the clients' data, divided as by 'fedsim run'. A plan with findings runs. For example:

        fedsim lint plan.yaml --data shapes:4000 --clients 10 --partition dirichlet:0.1

      \(CommandHelp.dataSpec)
      """)

  @Argument(help: "The plan, a YAML file (docs/plans.md).", completion: .plan)
  var plan: String

  @Option(help: ArgumentHelp("The clients' data. (default: the plan alone is looked at)", valueName: "spec"))
  var data: String?

  @Option(help: "The number of clients, 1 to 10000.")
  var clients: Int = 4

  @Option(
    help: "The partition of the data, as in 'fedsim run'.", completion: .list(Partition.examples))
  var partition: String = "even"

  @Flag(help: "Exit with code 2 if there is a finding.")
  var strict = false

  @Flag(help: "Print one JSON object.")
  var json = false

  private struct Report: Encodable {
    let findings: [LintFinding]
  }

  func validate() throws {
    guard Share.counts.contains(clients) else { throw ValidationError("--clients is 1 to 10000") }
  }

  func run() async throws {
    try await reporting("fedsim") {
      let plan = try readPlan(plan)
      let findings = try await resultUnlessStopped("fedsim") {
        try await TrainingThread.abandonable("lint") { Lint.findings(plan, try facts(plan)) }
      }
      if json {
        try StandardOutput.write(Commands.json(Report(findings: findings)))
      } else {
        for finding in findings { try StandardOutput.write(finding.line) }
        if findings.isEmpty { try StandardOutput.write("nothing found") }
      }
      guard !strict || findings.isEmpty else {
        throw CommandFailure(.plan, "\(self.plan): \(findings.count) found, and --strict is given")
      }
    }
  }

  private func facts(_ plan: Plan) throws -> LintData? {
    guard let data else { return nil }
    do {
      let spec = try DataSpec(parsing: data)
      let set = plan.trainingPart(of: try plan.labelled(spec.dataset(role: .train, for: plan.encoder.input)))
      let parts = try Partition(parsing: partition).split(set, clients: clients, seed: plan.seed)
      return LintData(set, description: data, parts: parts)
    } catch {
      throw CommandFailure(.data, error.description)
    }
  }
}
