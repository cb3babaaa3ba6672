import Datasets

/// The schedulers that may have started this process as one of several, innermost first (docs/schedulers.md).
enum Scheduler: CaseIterable, Sendable {
  /// A user or script that sets the project's variables.
  case explicit
  case openMPI
  /// MPICH and compatible implementations, also Slurm with --mpi=pmi2.
  case pmi
  /// A task of Slurm's srun.
  case slurmTask
  /// A job of a Slurm array.
  case slurmArray
  /// A pod of a Kubernetes indexed Job.
  case kubernetes

  /// The variable with the number of clients, for schedulers that do not provide it, or as a check.
  static let clients = "STRATA_CLIENTS"

  /// The variable that shows that the scheduler started this process.
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

  /// The variable with the number of clients.
  var total: String {
    switch self {
    case .explicit, .kubernetes: Self.clients
    case .openMPI: "OMPI_COMM_WORLD_SIZE"
    case .pmi: "PMI_SIZE"
    // In a shell that salloc opens as a separate step, SLURM_NTASKS may be that of the whole job.
    case .slurmTask: "SLURM_STEP_NUM_TASKS"
    case .slurmArray: "SLURM_ARRAY_TASK_COUNT"
    }
  }

  /// Returns the share that the scheduler's variables define; nil if it did not start this process.
  func share(_ variables: SchedulerVariables) throws(SchedulerError) -> Share? {
    guard variables.has(mark) else { return nil }
    switch self {
    case .explicit, .openMPI, .pmi: return try variables.share(index: mark, count: total, besides: mark)
    // A batch script has SLURM_PROCID=0 and the SLURM_NTASKS of the whole job, but is not a step.
    case .slurmTask: return try variables.share(index: "SLURM_PROCID", count: total, besides: mark)
    case .slurmArray: return try Self.place(in: variables)
    case .kubernetes:
      return try variables.share(
        index: mark, count: total, besides: mark, hint: ": set it to the Job's completions")
    }
  }

  /// Returns the position of an array task; task ids may start at any number and have gaps.
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
          + "its ids are not evenly spaced")
    }
    guard id >= first, id <= last, (id - first) % step == 0 else {
      throw SchedulerError("\(mark) is \(id), which is not among \(first) to \(last) in steps of \(step)")
    }
    return Share((id - first) / step, of: count)
  }
}

/// The index of this process among the clients and their number, read from the environment that the scheduler set
/// (docs/schedulers.md).
package struct SchedulerShare: Sendable, Hashable {
  package let share: Share
  /// The variable that provides the index, for a log.
  package let source: String

  /// Uses the innermost scheduler that started more than one process; if there is none, the innermost one. Throws
  /// ``SchedulerError`` with the variable that is missing, invalid or contradicts another.
  package init(environment: [String: String]) throws(SchedulerError) {
    let variables = SchedulerVariables(environment)
    var found: (scheduler: Scheduler, share: Share)?
    for scheduler in Scheduler.allCases {
      guard let share = try scheduler.share(variables) else { continue }
      if found == nil || share.count > 1 { found = (scheduler, share) }
      // An explicit share is final, even if it is the only one.
      if share.count > 1 || scheduler == .explicit { break }
    }
    guard let found else { throw Self.noScheduler(variables) }
    (share, source) = (found.share, found.scheduler.mark)
    if let clients = try variables.number(Scheduler.clients), clients != share.count {
      throw SchedulerError(
        "\(Scheduler.clients) is \(clients), but \(found.scheduler.total) is \(share.count)")
    }
  }

  private static func noScheduler(_ variables: SchedulerVariables) -> SchedulerError {
    if variables.has("SLURM_JOB_ID") {
      return SchedulerError(
        "SLURM_STEP_ID is not set: this process is the Slurm job itself, not one of its tasks; start it with srun or mpirun"
      )
    }
    let marks = Scheduler.allCases.map(\.mark).joined(separator: ", ")
    return SchedulerError("no scheduler has started this process: none of \(marks) is set")
  }
}

/// The reason, in one line, why the environment does not define the share of a process.
package struct SchedulerError: Error, Sendable, Equatable, CustomStringConvertible {
  package let description: String

  init(_ description: String) { self.description = description }
}

/// The schedulers' environment variables, as numbers.
struct SchedulerVariables: Sendable {
  private let values: [String: String]

  init(_ environment: [String: String]) { values = environment }

  func has(_ name: String) -> Bool { values[name] != nil }

  /// Returns the whole number in a variable; nil if it is not set.
  func number(_ name: String) throws(SchedulerError) -> Int? {
    guard let text = values[name] else { return nil }
    // No environment needs more, and sums of such numbers cannot overflow.
    guard let number = Int(text), (0...Int(Int32.max)).contains(number) else {
      throw SchedulerError("\(name) is '\(Self.shown(text))': it must be a whole number of 0 or more")
    }
    return number
  }

  /// Returns the number in a variable that is required if `other` is set; `hint` says what it should be.
  func number(_ name: String, besides other: String, hint: String = "") throws(SchedulerError) -> Int {
    guard let number = try number(name) else {
      throw SchedulerError("\(other) is set, but \(name) is not\(hint)")
    }
    return number
  }

  /// Returns the number of clients in a variable.
  func count(_ name: String, besides other: String, hint: String = "") throws(SchedulerError) -> Int {
    let count = try number(name, besides: other, hint: hint)
    guard Share.counts.contains(count) else {
      throw SchedulerError(
        "\(name) is \(count): it must be \(Share.counts.lowerBound) to \(Share.counts.upperBound)")
    }
    return count
  }

  /// Returns the share that two variables define; `mark` is the variable known to be set.
  func share(
    index: String, count: String, besides mark: String, hint: String = ""
  ) throws(SchedulerError) -> Share {
    let place = try number(index, besides: mark)
    let clients = try self.count(count, besides: mark, hint: hint)
    guard place < clients else {
      throw SchedulerError("\(index) is \(place), but \(count) is \(clients): the index counts from 0")
    }
    return Share(place, of: clients)
  }

  /// Returns a value shortened to 40 characters, with control characters replaced.
  private static func shown(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.prefix(40).map { $0.value < 32 ? "?" : $0 }))
  }
}
