import Datasets

/// Who may have started this process as one of several, from the innermost to the outermost (docs/schedulers.md).
enum Scheduler: CaseIterable, Sendable {
  /// Whoever sets the project's own variables.
  case explicit
  case openMPI
  /// MPICH and what goes by its interface, also Slurm with --mpi=pmi2.
  case pmi
  /// A task of Slurm's srun.
  case slurmTask
  /// A job of a Slurm array.
  case slurmArray
  /// A pod of a Kubernetes indexed Job.
  case kubernetes

  /// How many clients there are, where the scheduler does not say so, or to be sure.
  static let clients = "STRATA_CLIENTS"

  /// The variable without which the scheduler is not there.
  var mark: String {
    switch self {
    case .explicit: "STRATA_CLIENT_INDEX"
    case .openMPI: "OMPI_COMM_WORLD_RANK"
    case .pmi: "PMI_RANK"
    case .slurmTask: "SLURM_STEP_ID"
    case .slurmArray: "SLURM_ARRAY_TASK_ID"
    case .kubernetes: "JOB_COMPLETION_INDEX"
    }
  }

  /// The variable that says how many there are.
  var total: String {
    switch self {
    case .explicit, .kubernetes: Self.clients
    case .openMPI: "OMPI_COMM_WORLD_SIZE"
    case .pmi: "PMI_SIZE"
    // SLURM_NTASKS may be the whole job's, in a shell that salloc opens as a step of its own.
    case .slurmTask: "SLURM_STEP_NUM_TASKS"
    case .slurmArray: "SLURM_ARRAY_TASK_COUNT"
    }
  }

  /// What the scheduler says; nil where it did not start this process.
  func share(_ variables: SchedulerVariables) throws(SchedulerError) -> Share? {
    guard variables.has(mark) else { return nil }
    switch self {
    case .explicit, .openMPI, .pmi: return try variables.share(index: mark, count: total, besides: mark)
    // A batch script has SLURM_PROCID=0 and the whole job's SLURM_NTASKS, but is no step.
    case .slurmTask: return try variables.share(index: "SLURM_PROCID", count: total, besides: mark)
    case .slurmArray: return try Self.place(in: variables)
    case .kubernetes:
      return try variables.share(
        index: mark, count: total, besides: mark, hint: ": set it to the Job's completions")
    }
  }

  /// The place of an array's job among them: ids may begin anywhere, and be apart.
  private static func place(in variables: SchedulerVariables) throws(SchedulerError) -> Share {
    let (mark, total) = (slurmArray.mark, slurmArray.total)
    let id = try variables.number(mark, besides: total)
    let first = try variables.number("SLURM_ARRAY_TASK_MIN", besides: mark)
    let last = try variables.number("SLURM_ARRAY_TASK_MAX", besides: mark)
    let step = try variables.number("SLURM_ARRAY_TASK_STEP", besides: mark)
    let count = try variables.count(total, besides: mark)
    guard step > 0, last == first + (count - 1) * step else {
      throw SchedulerError(
        "SLURM_ARRAY_TASK_COUNT is \(count), but the array goes from \(first) to \(last) in steps of \(step): "
          + "its ids are not at equal distances")
    }
    guard id >= first, id <= last, (id - first) % step == 0 else {
      throw SchedulerError("\(mark) is \(id), which is not among \(first) to \(last) in steps of \(step)")
    }
    return Share((id - first) / step, of: count)
  }
}
