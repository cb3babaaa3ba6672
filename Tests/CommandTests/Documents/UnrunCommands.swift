/// The only table of commands in documents that tests do not run as shown. The options of this project's commands are
/// checked nevertheless.
struct UnrunCommand: Sendable {
  /// The start of the command, after an optional `sudo `.
  let beginning: String
  let reason: String
  let coveredBy: String

  func fits(_ statement: ShellBlock.Statement) -> Bool {
    let text = statement.text.hasPrefix("sudo ") ? statement.text.dropFirst(5) : statement.text[...]
    return text.hasPrefix(beginning)
  }

  static let all = [
    UnrunCommand(
      beginning: "make demo", reason: "builds, and takes minutes",
      coveredBy: "its recipe is checked like a command; fedsim run is run from README.md"),
    UnrunCommand(
      beginning: "make test", reason: "is what runs this", coveredBy: ".ci/run"),
    UnrunCommand(
      beginning: "make deb", reason: "builds everything once more, for minutes", coveredBy: "sudo make trydeb"
    ),
    UnrunCommand(
      beginning: "apt install", reason: "needs root, and changes the machine", coveredBy: "sudo make trydeb"),
    UnrunCommand(
      beginning: "apt-get install", reason: "needs root, and changes the machine",
      coveredBy: "sudo make trydeb"),
    UnrunCommand(beginning: "make build", reason: "is done by then", coveredBy: "make test"),
    UnrunCommand(
      beginning: "bash deploy/make-deb.sh", reason: "builds everything once more, for minutes",
      coveredBy: "sudo make trydeb"),
    UnrunCommand(
      beginning: "make tryslurm", reason: "needs root, and installs Slurm", coveredBy: "itself, by hand"),
    UnrunCommand(
      beginning: "bash deploy/slurm/try-slurm.sh", reason: "needs root, and installs Slurm",
      coveredBy: "sudo make tryslurm"),
    UnrunCommand(beginning: "sbatch", reason: "needs Slurm", coveredBy: "sudo make tryslurm"),
    UnrunCommand(
      beginning: "mpirun", reason: "needs an MPI",
      coveredBy: "sudo make tryslurm; its clients' command line by SharedCommandLineTests"),
    UnrunCommand(
      beginning: "docker", reason: "needs root and a registry", coveredBy: "nothing; the packages by trydeb"),
    UnrunCommand(
      beginning: "kubectl", reason: "needs a cluster",
      coveredBy: "the containers' command lines by KubernetesTests"),
    UnrunCommand(
      beginning: "journalctl", reason: "needs systemd, and does not end", coveredBy: "nothing"),
  ]

  /// The options of other programs in sentences.
  static let foreignOptions: Set = [
    "--allow-run-as-root", "--array=0-9%4", "--cpus-per-task=4", "--mem-per-cpu", "--mpi=pmi2", "--time",
  ]
}
