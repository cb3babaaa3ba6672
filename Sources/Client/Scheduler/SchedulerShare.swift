import Datasets

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
