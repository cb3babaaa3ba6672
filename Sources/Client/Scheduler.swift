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

/// Which of how many clients this process is, as the scheduler that started it says in its environment
/// (docs/schedulers.md).
package struct SchedulerShare: Sendable, Hashable {
  package let share: Share
  /// The variable that tells the place, for a log.
  package let source: String

  /// The innermost scheduler that started more than one process decides; where all started one, the innermost.
  /// Throws ``SchedulerError`` with the variable that is missing, makes no sense, or contradicts another.
  package init(environment: [String: String]) throws(SchedulerError) {
    let variables = SchedulerVariables(environment)
    var found: (scheduler: Scheduler, share: Share)?
    for scheduler in Scheduler.allCases {
      guard let share = try scheduler.share(variables) else { continue }
      if found == nil || share.count > 1 { found = (scheduler, share) }
      // Who names the share means it, even the only one.
      if share.count > 1 || scheduler == .explicit { break }
    }
    guard let found else { throw Self.nobody(variables) }
    (share, source) = (found.share, found.scheduler.mark)
    if let clients = try variables.number(Scheduler.clients), clients != share.count {
      throw SchedulerError(
        "\(Scheduler.clients) is \(clients), but \(found.scheduler.total) is \(share.count)")
    }
  }

  private static func nobody(_ variables: SchedulerVariables) -> SchedulerError {
    if variables.has("SLURM_JOB_ID") {
      return SchedulerError(
        "SLURM_STEP_ID is not set: this is Slurm's job itself, and none of its tasks; start it with srun or mpirun"
      )
    }
    let marks = Scheduler.allCases.map(\.mark).joined(separator: ", ")
    return SchedulerError("no scheduler has started this process: none of \(marks) is set")
  }
}

/// Why the environment does not say which of how many clients a process is, in one line.
package struct SchedulerError: Error, Sendable, Equatable, CustomStringConvertible {
  package let description: String

  init(_ description: String) { self.description = description }
}

/// What the schedulers say in the environment, as numbers.
struct SchedulerVariables: Sendable {
  private let values: [String: String]

  init(_ environment: [String: String]) { values = environment }

  func has(_ name: String) -> Bool { values[name] != nil }

  /// The whole number that a variable holds; nil where it is not set.
  func number(_ name: String) throws(SchedulerError) -> Int? {
    guard let text = values[name] else { return nil }
    // No environment has a reason for more, and sums of such numbers do not overflow.
    guard let number = Int(text), (0...Int(Int32.max)).contains(number) else {
      throw SchedulerError("\(name) is '\(Self.shown(text))': it is a whole number of 0 or more")
    }
    return number
  }

  /// The number that another variable makes necessary; `hint` says what it should be.
  func number(_ name: String, besides other: String, hint: String = "") throws(SchedulerError) -> Int {
    guard let number = try number(name) else {
      throw SchedulerError("\(other) is set, but \(name) is not\(hint)")
    }
    return number
  }

  /// How many clients a variable says that there are.
  func count(_ name: String, besides other: String, hint: String = "") throws(SchedulerError) -> Int {
    let count = try number(name, besides: other, hint: hint)
    guard Share.counts.contains(count) else {
      throw SchedulerError(
        "\(name) is \(count): there are \(Share.counts.lowerBound) to \(Share.counts.upperBound) clients")
    }
    return count
  }

  /// The share that two variables tell; `mark` is the one that is known to be set.
  func share(
    index: String, count: String, besides mark: String, hint: String = ""
  ) throws(SchedulerError) -> Share {
    let place = try number(index, besides: mark)
    let clients = try self.count(count, besides: mark, hint: hint)
    guard place < clients else {
      throw SchedulerError("\(index) is \(place), but \(count) is \(clients): it counts from 0")
    }
    return Share(place, of: clients)
  }

  /// A value on one line of bearable length, whatever is in it.
  private static func shown(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.prefix(40).map { $0.value < 32 ? "?" : $0 }))
  }
}
