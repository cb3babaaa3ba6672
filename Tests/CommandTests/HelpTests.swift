import Federation
import Foundation
import TestSupport
import Testing

/// The command line must stay stable: removing or renaming an option breaks unit files.
@Suite(.unhurried) struct HelpTests {
  @Test(arguments: [
    (
      ["fedserver"],
      ["init", "run", "status", "rounds", "clients", "export", "report", "enroll", "certificate"]
    ),
    (["fedclient"], ["run", "enroll", "check", "classify", "embed"]),
    (
      ["fedsim"],
      [
        "run", "partition", "lint", "compare", "evaluate", "account", "traffic", "search-controller",
        "sweeps", "memory",
        "conformance", "bench",
      ]
    ),
    (["fedsim", "bench"], ["step", "suite", "views", "graph", "codec", "round"]),
    (
      ["fedserver", "run"],
      [
        "<plan>", "--listen <address>", "--database <file>", "--threads <threads>", "--tls <dir>",
        "--insecure", "--max-unauthenticated <n>", "--http <address>", "--probe-data <spec>",
        "--probe-test-data <spec>", "--probe-every <rounds>", "--analyse <measures>",
        "--analyse-every <rounds>", "--analyse-samples <n>",
      ]
    ),
    (["fedserver", "init"], ["<dir>", "--host <name>", "--client <name>", "--data <spec>"]),
    (["fedserver", "status"], ["--database <file>", "--json"]),
    (
      ["fedserver", "export"],
      [
        "--database <file>", "--json", "--stage <n>", "--round <n>", "--format <format>", "--out <file>",
        "--metrics",
      ]
    ),
    (["fedserver", "report"], ["--database <file>", "--out <file>", "--json"]),
    (["fedserver", "rounds"], ["--database <file>", "--json", "--all", "--csv"]),
    (["fedserver", "clients"], ["--database <file>", "--json"]),
    (["fedserver", "enroll"], ["<name>", "--tls <dir>"]),
    (["fedserver", "certificate"], ["authority", "server", "client", "revoke", "list", "restore"]),
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
    (["fedserver", "certificate", "list"], ["--tls <dir>", "--database <file>", "--json"]),
    (["fedserver", "certificate", "restore"], ["--tls <dir>", "--database <file>"]),
    (["fedclient", "enroll"], ["<code>", "--server <address>", "--state <dir>"]),
    (
      ["fedclient", "run"],
      [
        "--server <address>", "--name <name>", "--data <spec>", "--validate <spec>",
        "--partition <kind>", "--share <index/count>", "--state <dir>", "--threads <threads>",
        "--patience <time>", "--memory <bytes>", "--tls <dir>", "--insecure", "--strict",
        "--nice <n>", "--cpu <percent>", "--hours <ranges>",
        "--bytes-a-day <bytes>", "--pause-on-battery",
      ]
    ),
    (
      ["fedclient", "check"],
      [
        "--data <spec>", "--partition <kind>", "--share <index/count>", "--plan <file>", "--sheet <file>",
        "--strict", "--threads <threads>",
        "--memory <bytes>", "--json",
      ]
    ),
    (
      ["fedclient", "classify"],
      [
        "--model <file>", "--data <spec>", "--train", "--threads <threads>", "--batch <images>",
        "--confidence <confidence>", "--format <format>", "--out <file>",
      ]
    ),
    (
      ["fedclient", "embed"],
      [
        "--model <file>", "--data <spec>", "--train", "--threads <threads>", "--batch <images>",
        "--out <file>",
      ]
    ),
    (
      ["fedsim", "run"],
      [
        "<plan>", "--clients <clients>", "--data <spec>", "--test-data <spec>", "--fine-tune <epochs>",
        "--partition <partition>", "--out <dir>", "--cores <cores>", "--threads <threads>",
        "--dropout <chance>", "--link <link>", "--strict", "--overwrite", "--probe-every <rounds>",
        "--analyse <measures>", "--analyse-samples <n>", "--json", "--resume", "--tensorboard <dir>", "--csv",
      ]
    ),
    (
      ["fedsim", "evaluate"],
      [
        "<encoder>", "--train <spec>", "--test <spec>", "--fine-tune <epochs>", "--seed <seed>",
        "--threads <threads>", "--image <pixels>", "--patch <pixels>", "--heads <heads>", "--features",
        "--hops <hops>", "--propagation <propagation>", "--json",
      ]
    ),
    (["fedsim", "account"], ["<plan>", "--images <images>", "--remaining <shares>", "--json"]),
    (
      ["fedsim", "compare"],
      [
        "<plan>", "--strategies <strategies>", "--objectives <objectives>", "--out <dir>", "--data <spec>",
        "--test-data <spec>", "--clients <clients>", "--partition <partition>", "--seeds <seeds>",
        "--fine-tune <epochs>", "--probe-every <rounds>", "--analyse <measures>", "--analyse-samples <n>",
        "--cores <cores>", "--threads <threads>", "--resume", "--json", "--vary <field=values>",
        "--against <variant>", "--no-centralised", "--memory <bytes>", "--tensorboard <dir>", "--csv",
      ]
    ),
    (
      ["fedsim", "search-controller"],
      [
        "<plan>", "--data <spec>", "--out <file>", "--clients <clients>", "--partition <partition>",
        "--examples <examples>", "--episodes <episodes>", "--time-ratio <cost>", "--baseline <cost>",
        "--every <rounds>", "--minimum <rounds>", "--maximum <rounds>", "--seed <seed>",
        "--threads <threads>", "--overwrite", "--json",
      ]
    ),
    (
      ["fedsim", "sweeps"],
      [
        "--data <spec>", "--out <dir>", "--depths <depths>", "--width <width>", "--sweeps <sweeps>",
        "--order <order>", "--start <start>", "--starts <starts>", "--seed <seed>", "--threads <threads>",
        "--json",
      ]
    ),
    (["fedsim", "memory"], ["<plan>", "--stage <stage>", "--images <images>", "--threads <threads>"]),
    (["fedsim", "conformance"], ["<dir>", "--json"]),
    (["fedsim", "check"], ["--seeds <seeds>", "--hostile <inputs>", "--json"]),
    (
      ["fedsim", "bench", "step"],
      [
        "--strategy <strategy>", "--stage <stage>", "--batch <batch>", "--threads <threads>",
        "--objective <objective>",
        "--steps <steps>", "--chunk <chunk>", "--memory <bytes>", "--bottleneck <alpha>", "--prefix-only",
        "--full-last-block",
        "--json",
      ]
    ),
    (["fedsim", "traffic"], ["<plan>", "--json"]),
    (
      ["fedsim", "partition"],
      [
        "--data <spec>", "--clients <clients>", "--partition <partition>", "--seed <seed>", "--html <file>",
        "--csv <file>", "--json",
      ]
    ),
    (
      ["fedsim", "lint"],
      [
        "<plan>", "--data <spec>", "--clients <clients>", "--partition <partition>", "--strict", "--json",
      ]
    ),
    (
      ["fedsim", "bench", "views"],
      [
        "<plan>", "--data <spec>", "--images <images>", "--batch <batch>", "--threads <threads>",
        "--steps <steps>", "--json",
      ]
    ),
    (["fedsim", "bench", "suite"], ["--json"]),
    (["fedsim", "bench", "codec"], ["<plan>", "--json"]),
    (
      ["fedsim", "bench", "round"],
      ["--clients <clients>", "--bytes <bytes>", "--rounds <rounds>", "--json"]
    ),
  ])
  func helpNamesEveryOption(command: [String], options: [String]) async throws {
    let outcome = try await Command(command[0], command.dropFirst() + ["--help"]).outcome()
    #expect(outcome.code == 0 && outcome.errors.isEmpty, "\(outcome)")
    #expect(outcome.output.split(separator: "\n").allSatisfy { $0.count <= 80 }, "\(outcome.output)")
    let lines = outcome.output.split(separator: "\n").map { $0.drop { $0 == " " } }
    for option in options {
      // The option starts a line, with its help after it or on the next line.
      let index = lines.firstIndex { $0 == option || $0.hasPrefix(option + " ") }
      #expect(index != nil, "\(option) is not in the help of \(command)")
    }
    let named = lines.filter { $0.hasPrefix("--") }.map { $0.prefix { $0 != " " } }
    let known = Set((options + ["--version"]).map { $0.prefix { $0 != " " } })
    #expect(Set(named).subtracting(known).isEmpty, "an option that this test does not know")
    #expect(outcome.output.contains("-h, --help"))
    // A command that can run shows its usage on one line.
    let isGroup = outcome.output.contains("SUBCOMMANDS:")
    let call = "  " + command.joined(separator: " ") + " "
    let isShown = outcome.output.split(separator: "\n").contains { ($0 + " ").hasPrefix(call) }
    #expect(isGroup || isShown, "no example in \(outcome.output)")
  }

  @Test(arguments: ["fedserver", "fedclient", "fedsim"])
  func everyCommandTellsItsVersion(command: String) async throws {
    let outcome = try await Command.run(command, "--version")
    #expect(outcome.code == 0 && outcome.errors.isEmpty, "\(outcome)")
    #expect(outcome.output == Software.version + "\n")
  }

  /// One table in the sources defines the codes; `--help` prints those of a command, and the README lists the same.
  @Test(arguments: [
    ("fedserver", [0, 2, 3, 4, 7, 8, 9, 11, 64, 71]),
    ("fedclient", [0, 2, 3, 5, 6, 7, 9, 10, 64, 71, 129, 130, 143]),
    ("fedsim", [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 64, 71, 129, 130, 143]),
  ])
  func exitCodesAreThoseOfTheReadme(command: String, codes: [Int]) async throws {
    let help = try await Command.run(command, "--help").output
    let told = help.split(separator: "\n").compactMap { line -> [String]? in
      guard let match = line.wholeMatch(of: #/  (\d+) +(.+)/#) else { return nil }
      return [String(match.1), String(match.2)]
    }
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let readme = try String(contentsOf: root.appending(path: "README.md"), encoding: .utf8)
    let written = readme.split(separator: "\n").compactMap { line -> [String]? in
      guard let match = line.wholeMatch(of: /\| (\d+) \| (.+) \|/) else { return nil }
      return [String(match.1), String(match.2).replacing("`", with: "")]
    }
    #expect(told.map { $0[0] } == codes.map(String.init))
    #expect(written.count == 17 && told.allSatisfy(written.contains))
  }

  @Test(arguments: ["fedserver", "fedclient", "fedsim"])
  func completionsAreWhatTheShellTakes(command: String) async throws {
    let outcome = try await Command.run(command, "--generate-completion-script", "bash")
    #expect(outcome.code == 0, "\(outcome)")
    try await withTemporaryFolder { folder in
      let script = folder.path("completion.bash")
      try Data(outcome.output.utf8).write(to: URL(filePath: script))
      // As a user types: 'COMMAND r' and the tab key.
      let ask = """
        source "$0"; COMP_LINE="\(command) r" COMP_POINT=${#COMP_LINE} COMP_WORDS=(\(command) r) COMP_CWORD=1
        "$(complete -p \(command) | sed 's/.* -F \\([^ ]*\\) .*/\\1/')" \(command) r \(command)
        echo "${COMPREPLY[@]}"
        """
      let answer = try await Command("/bin/bash", ["-c", ask, script]).outcome()
      let expected = ["fedserver": ["run", "rounds", "report"], "fedclient": ["run"], "fedsim": ["run"]]
      let found = answer.output.split(whereSeparator: \.isWhitespace).map(String.init)
      #expect(found == expected[command], "\(answer)")
    }
  }
}
