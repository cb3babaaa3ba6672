import Client
import Datasets
import Testing

/// The share that a process reads from its scheduler's environment. The variables are those of Slurm 22.05, Open MPI
/// 4.1 and MPICH 4.0.
@Suite struct SchedulerShareTests {
  /// Returns the environment of an srun task.
  static func task(_ index: Int, of count: Int) -> [String: String] {
    [
      "SLURM_JOB_ID": "11", "SLURM_STEP_ID": "0", "SLURM_PROCID": "\(index)", "SLURM_LOCALID": "0",
      "SLURM_STEP_NUM_TASKS": "\(count)", "SLURM_NTASKS": "\(count)",
    ]
  }

  /// Returns the environment of a batch script in a job with `--ntasks`.
  static func batch(tasks: Int) -> [String: String] {
    ["SLURM_JOB_ID": "11", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NTASKS": "\(tasks)"]
  }

  /// Returns the environment of the batch script of an array.
  static func array(_ id: Int, _ range: (first: Int, last: Int, step: Int), count: Int) -> [String: String] {
    [
      "SLURM_JOB_ID": "12", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_ARRAY_JOB_ID": "11",
      "SLURM_ARRAY_TASK_ID": "\(id)", "SLURM_ARRAY_TASK_MIN": "\(range.first)",
      "SLURM_ARRAY_TASK_MAX": "\(range.last)", "SLURM_ARRAY_TASK_STEP": "\(range.step)",
      "SLURM_ARRAY_TASK_COUNT": "\(count)",
    ]
  }

  static func openMPI(_ index: Int, of count: Int) -> [String: String] {
    ["OMPI_COMM_WORLD_RANK": "\(index)", "OMPI_COMM_WORLD_SIZE": "\(count)"]
  }

  static let mpich = ["PMI_RANK": "1", "PMI_SIZE": "3"]
  static let pod = ["JOB_COMPLETION_INDEX": "2", "STRATA_CLIENTS": "5"]
  static let explicit = ["STRATA_CLIENT_INDEX": "1", "STRATA_CLIENTS": "2"]

  private func expect(
    _ environments: [String: String]..., is share: Share, by source: String,
    _ at: SourceLocation = #_sourceLocation
  ) throws {
    let environment = environments.reduce([:]) { $0.merging($1) { $1 } }
    let found = try SchedulerShare(environment: environment)
    #expect(found.share == share, sourceLocation: at)
    #expect(found.source == source, sourceLocation: at)
  }

  @Test func everySchedulerIsUnderstood() throws {
    try expect(Self.task(3, of: 4), is: Share(3, of: 4), by: "SLURM_STEP_ID")
    try expect(Self.openMPI(0, of: 2), is: Share(0, of: 2), by: "OMPI_COMM_WORLD_RANK")
    try expect(Self.mpich, is: Share(1, of: 3), by: "PMI_RANK")
    try expect(Self.pod, is: Share(2, of: 5), by: "JOB_COMPLETION_INDEX")
    try expect(Self.explicit, is: Share(1, of: 2), by: "STRATA_CLIENT_INDEX")
    try expect(Self.array(2, (0, 3, 1), count: 4), is: Share(2, of: 4), by: "SLURM_ARRAY_TASK_ID")
  }

  /// The arrays `--array=1-4` and `--array=3-11:4`.
  @Test func anArrayMayBeginAnywhereAndTakeSteps() throws {
    try expect(Self.array(4, (1, 4, 1), count: 4), is: Share(3, of: 4), by: "SLURM_ARRAY_TASK_ID")
    try expect(Self.array(7, (3, 11, 4), count: 3), is: Share(1, of: 3), by: "SLURM_ARRAY_TASK_ID")
  }

  @Test func theInnermostSchedulerDecides() throws {
    // mpirun in a batch script; on other nodes under the srun with which it starts its helpers.
    try expect(
      Self.batch(tasks: 4), Self.openMPI(3, of: 4), is: Share(3, of: 4), by: "OMPI_COMM_WORLD_RANK")
    try expect(
      Self.task(1, of: 2), Self.openMPI(3, of: 4), is: Share(3, of: 4), by: "OMPI_COMM_WORLD_RANK")
    // srun in each job of an array, which may vary the seed.
    try expect(
      Self.array(2, (0, 3, 1), count: 4), Self.task(1, of: 2), is: Share(1, of: 2), by: "SLURM_STEP_ID")
    try expect(Self.pod, ["STRATA_CLIENTS": "3"], Self.mpich, is: Share(1, of: 3), by: "PMI_RANK")
    try expect(Self.task(3, of: 4), Self.explicit, is: Share(1, of: 2), by: "STRATA_CLIENT_INDEX")
  }

  /// A launcher of one process inside one of several does not determine the share.
  @Test func aLauncherOfOneProcessLeavesItToTheOneAround() throws {
    try expect(
      Self.array(2, (0, 3, 1), count: 4), Self.task(0, of: 1), is: Share(2, of: 4), by: "SLURM_ARRAY_TASK_ID")
    try expect(
      Self.array(2, (0, 3, 1), count: 4), Self.task(0, of: 1), Self.openMPI(0, of: 1), is: Share(2, of: 4),
      by: "SLURM_ARRAY_TASK_ID")
    try expect(
      Self.task(0, of: 1), Self.openMPI(0, of: 1), is: Share(0, of: 1), by: "OMPI_COMM_WORLD_RANK")
    let alone = ["STRATA_CLIENT_INDEX": "0", "STRATA_CLIENTS": "1"]
    try expect(Self.openMPI(1, of: 2), alone, is: Share(0, of: 1), by: "STRATA_CLIENT_INDEX")
  }

  /// Each with the variables that its message names.
  @Test(arguments: [
    ([:], ["no scheduler", "STRATA_CLIENT_INDEX", "SLURM_STEP_ID", "JOB_COMPLETION_INDEX"]),
    (batch(tasks: 4), ["SLURM_STEP_ID is not set", "srun"]),
    (["SLURM_JOB_ID": "3", "SLURM_NTASKS": "2"], ["SLURM_STEP_ID is not set"]),
    (["SLURM_STEP_ID": "0"], ["SLURM_PROCID is not"]),
    (["SLURM_STEP_ID": "0", "SLURM_PROCID": "0"], ["SLURM_STEP_NUM_TASKS is not"]),
    (task(4, of: 4), ["SLURM_PROCID is 4", "SLURM_STEP_NUM_TASKS is 4"]),
    (openMPI(-1, of: 2), ["OMPI_COMM_WORLD_RANK is '-1'"]),
    (["OMPI_COMM_WORLD_RANK": "0"], ["OMPI_COMM_WORLD_RANK is set", "OMPI_COMM_WORLD_SIZE is not"]),
    (openMPI(0, of: 0), ["OMPI_COMM_WORLD_SIZE is 0"]),
    (openMPI(0, of: 10_001), ["OMPI_COMM_WORLD_SIZE is 10001"]),
    (["PMI_RANK": "one", "PMI_SIZE": "2"], ["PMI_RANK is 'one'"]),
    (["PMI_RANK": "0", "PMI_SIZE": ""], ["PMI_SIZE is ''"]),
    (["PMI_RANK": "0", "PMI_SIZE": "99999999999999999999"], ["PMI_SIZE is '99999999999999999999'"]),
    (["JOB_COMPLETION_INDEX": "1"], ["STRATA_CLIENTS is not", "completions"]),
    (["JOB_COMPLETION_INDEX": "4", "STRATA_CLIENTS": "4"], ["JOB_COMPLETION_INDEX is 4"]),
    (["STRATA_CLIENT_INDEX": "0"], ["STRATA_CLIENTS is not"]),
    (["STRATA_CLIENTS": "4"], ["STRATA_CLIENT_INDEX"]),
    (
      task(1, of: 4).merging(["STRATA_CLIENTS": "8"]) { $1 },
      ["STRATA_CLIENTS is 8", "SLURM_STEP_NUM_TASKS is 4"]
    ),
    (array(5, (1, 9, 1), count: 3), ["SLURM_ARRAY_TASK_COUNT is 3", "1 to 9"]),
    (
      array(4, (0, 6, 2), count: 4).merging(["SLURM_ARRAY_TASK_ID": "3"]) { $1 }, ["SLURM_ARRAY_TASK_ID is 3"]
    ),
    (array(4, (0, 3, 1), count: 4), ["SLURM_ARRAY_TASK_ID is 4"]),
    (array(0, (0, 0, 0), count: 1), ["steps of 0"]),
    (["SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "2"], ["SLURM_ARRAY_TASK_MIN is not"]),
    (["PMI_RANK": "1\n\u{1B}[31m", "PMI_SIZE": "2"], ["PMI_RANK is '1??[31m'"]),
  ])
  func whatMakesNoSenseIsNamed(environment: [String: String], words: [String]) {
    let error = #expect(throws: SchedulerError.self) { try SchedulerShare(environment: environment) }
    let line = error?.description ?? ""
    #expect(!line.contains("\n"))
    for word in words { #expect(line.contains(word), "\(line)") }
  }

  /// Invalid variables of an outer scheduler do not matter.
  @Test func whatDoesNotDecideIsNotRead() throws {
    try expect(
      Self.openMPI(1, of: 2), ["JOB_COMPLETION_INDEX": "x", "SLURM_STEP_ID": "0"], is: Share(1, of: 2),
      by: "OMPI_COMM_WORLD_RANK")
  }
}
