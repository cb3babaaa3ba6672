import Federation
import Testing

/// The command line, frozen: an option that goes or changes its name breaks somebody's unit file.
@Suite(.timeLimit(.minutes(1))) struct HelpTests {
  @Test(arguments: [
    (["fedserver"], ["run", "status", "rounds", "clients", "export", "report", "enroll", "certificate"]),
    (["fedclient"], ["run", "enroll", "check"]),
    (
      ["fedsim"], ["run", "compare", "evaluate", "account", "traffic", "memory", "conformance", "bench"]
    ),
    (["fedsim", "bench"], ["step", "suite", "codec", "round"]),
    (
      ["fedserver", "run"],
      [
        "<plan>", "--listen <address>", "--database <file>", "--threads <threads>", "--tls <dir>",
        "--insecure", "--strangers <n>", "--http <address>",
      ]
    ),
    (["fedserver", "status"], ["--database <file>", "--json"]),
    (
      ["fedserver", "export"],
      ["--database <file>", "--stage <n>", "--round <n>", "--format <format>", "--out <file>"]
    ),
    (["fedserver", "report"], ["--database <file>", "--out <file>"]),
    (["fedserver", "rounds"], ["--database <file>", "--json"]),
    (["fedserver", "clients"], ["--database <file>", "--json"]),
    (["fedserver", "enroll"], ["<name>", "--tls <dir>"]),
    (["fedserver", "certificate"], ["authority", "server", "client", "revoke", "list"]),
    (["fedserver", "certificate", "authority"], ["<name>", "--tls <dir>", "--days <days>"]),
    (
      ["fedserver", "certificate", "server"],
      ["<name>", "--tls <dir>", "--host <host>", "--days <days>"]
    ),
    (
      ["fedserver", "certificate", "client"],
      ["<name>", "--tls <dir>", "--out <dir>", "--days <days>"]
    ),
    (["fedserver", "certificate", "revoke"], ["<name>", "--tls <dir>"]),
    (["fedclient", "enroll"], ["<code>", "--server <address>", "--state <dir>"]),
    (
      ["fedclient", "run"],
      [
        "--server <address>", "--name <name>", "--data <spec>", "--partition <kind>", "--share <index/count>",
        "--state <dir>", "--threads <threads>",
        "--patience <patience>", "--memory <memory>", "--tls <dir>", "--insecure", "--strict",
        "--nice <n>", "--cpu <percent>", "--hours <ranges>",
        "--bytes-a-day <bytes>", "--pause-on-battery",
      ]
    ),
    (
      ["fedclient", "check"],
      [
        "--data <spec>", "--plan <file>", "--sheet <file>", "--strict", "--threads <threads>",
        "--memory <memory>", "--json",
      ]
    ),
    (
      ["fedsim", "run"],
      [
        "<plan>", "--clients <clients>", "--data <spec>", "--test-data <spec>", "--fine-tune <epochs>",
        "--partition <partition>", "--out <dir>", "--cores <cores>", "--threads <threads>",
        "--dropout <dropout>", "--link <link>", "--strict", "--overwrite", "--probe-every <probe-every>",
      ]
    ),
    (
      ["fedsim", "evaluate"],
      [
        "<encoder>", "--train <spec>", "--test <spec>", "--fine-tune <epochs>", "--seed <seed>",
        "--threads <threads>", "--image <image>", "--patch <patch>", "--heads <heads>", "--json",
      ]
    ),
    (["fedsim", "account"], ["<plan>", "--images <images>", "--json"]),
    (
      ["fedsim", "compare"],
      [
        "<plan>", "--strategies <strategies>", "--ssl <ssl>", "--out <dir>", "--data <spec>",
        "--test-data <spec>", "--clients <clients>", "--partition <partition>", "--seeds <seeds>",
        "--fine-tune <epochs>", "--probe-every <probe-every>", "--cores <cores>", "--threads <threads>",
        "--resume", "--json",
      ]
    ),
    (["fedsim", "memory"], ["<plan>", "--stage <stage>", "--images <images>", "--threads <threads>"]),
    (["fedsim", "conformance"], ["<directory>"]),
    (["fedsim", "check"], ["--seeds <seeds>", "--hostile <hostile>"]),
    (
      ["fedsim", "bench", "step"],
      [
        "--strategy <strategy>", "--stage <stage>", "--batch <batch>", "--threads <threads>", "--ssl <ssl>",
        "--steps <steps>", "--chunk <chunk>", "--memory <memory>", "--prefix-only", "--full-last-block",
        "--json",
      ]
    ),
    (["fedsim", "traffic"], ["<plan>", "--json"]),
    (["fedsim", "bench", "suite"], []),
    (["fedsim", "bench", "codec"], ["<plan>", "--json"]),
    (
      ["fedsim", "bench", "round"],
      ["--clients <clients>", "--bytes <bytes>", "--rounds <rounds>", "--json"]
    ),
  ])
  func helpNamesEveryOption(command: [String], options: [String]) async throws {
    let outcome = try await Command(command[0], command.dropFirst() + ["--help"]).outcome()
    #expect(outcome.code == 0 && outcome.errors.isEmpty, "\(outcome)")
    let lines = outcome.output.split(separator: "\n").map { $0.drop { $0 == " " } }
    for option in options {
      // It stands at a line's beginning, with what it is for behind it or on the next line.
      let index = lines.firstIndex { $0 == option || $0.hasPrefix(option + " ") }
      #expect(index != nil, "\(option) is not in the help of \(command)")
    }
    let named = lines.filter { $0.hasPrefix("--") }.map { $0.prefix { $0 != " " } }
    let known = Set((options + ["--version"]).map { $0.prefix { $0 != " " } })
    #expect(Set(named).subtracting(known).isEmpty, "an option that this test does not know")
    #expect(outcome.output.contains("-h, --help"))
  }

  @Test(arguments: ["fedserver", "fedclient", "fedsim"])
  func everyCommandTellsItsVersion(command: String) async throws {
    let outcome = try await Command.run(command, "--version")
    #expect(outcome.code == 0 && outcome.errors.isEmpty, "\(outcome)")
    #expect(outcome.output == Software.version + "\n")
  }
}
