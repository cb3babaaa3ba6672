import Federation
import Foundation
import Wire

/// How a connection keeps the device's resource limits.
extension ClientSession {
  /// Why this client will not train as it is asked to; nil where it will, and for any other message.
  func declineReason(for message: Message) throws(ClientError) -> DeclineReason? {
    guard case .assignment(let assignment) = message else { return nil }
    if let reason = client.configuration.declines(assignment.key) { return reason }
    let limits = client.configuration.limits
    guard meter != nil else { return limits.declineReason(needed: 0, spent: 0) }
    let day = limits.day
    try meter?.note(connection.traffic, on: day)
    return limits.declineReason(needed: try bytes(of: assignment), spent: meter?.spent(on: day) ?? 0)
  }

  /// What a round will send through the connection, frames and all: layers and coded differences that are not here yet,
  /// and the update.
  private func bytes(of assignment: Assignment) throws(ClientError) -> Int {
    let missing = assignment.lacking(cache.holds).reduce(0) { sum, version in
      sum + Frame.bytes(ofPieces: chunk, of: version.bytes - cache.received(version))
    }
    return try missing + Frame.bytes(ofPieces: chunk, of: updateBytes(assignment))
  }

  /// Bytes of a round's update as it is coded: exactly, where it is trained already, and else what the codec makes of it
  /// at the most, less what compression has saved the last time.
  private func updateBytes(_ assignment: Assignment) throws(ClientError) -> Int {
    if let update = pendingUpdates.update(for: assignment) { return update.bytes.count }
    guard let work else { return 0 }
    _ = try work.stage(of: assignment)
    let coding = work.coding(assignment.codec, assignment.key)
    return Int((Double(coding.mostBytes) * (packed[coding.codec] ?? 1)).rounded(.up))
  }

  /// Remembers how small an update became.
  func note(_ update: LocalWork.Update) {
    guard let coding = work?.coding(update.offer.codec, update.offer.key) else { return }
    packed[coding.codec] = Double(update.bytes.count) / Double(max(coding.mostBytes, 1))
  }

  /// Why a finished update is not sent: it became larger than was thought, and than what is left of the day.
  func declineReason(for update: LocalWork.Update) throws(ClientError) -> DeclineReason? {
    guard meter != nil else { return nil }
    let limits = client.configuration.limits
    let day = limits.day
    try meter?.note(connection.traffic, on: day)
    let needed = Frame.bytes(ofPieces: chunk, of: update.bytes.count)
    return limits.overspending(needed: needed, spent: meter?.spent(on: day) ?? 0)
  }

  /// Looks every so often at the hours, the power and the bytes.
  func watch() {
    let limits = client.configuration.limits
    guard limits.needWatching else { return }
    watcher?.cancel()
    watcher = Task {
      while !Task.isCancelled {
        do { try await Task.sleep(for: limits.interval) } catch { return }
        do {
          try await keep(limits)
        } catch let error as ClientError {
          return await fail(error)
        } catch {
          return  // The receiving task sees the same end of the connection.
        }
      }
    }
  }

  private func keep(_ limits: ResourceLimits) async throws {
    pauseOnBattery()
    try countBytes()
    if let reason = limits.closed { try await perform(participation.withdraw(reason)) }
  }

  private func countBytes() throws(ClientError) {
    try meter?.note(connection.traffic, on: client.configuration.limits.day)
    // Signs of life alone, a few hundred bytes a minute, are not worth a write each time.
    try meter?.save(from: 16 << 10)
  }

  /// Writes what was counted at the connection's end.
  func saveBytes() throws(ClientError) {
    try meter?.note(connection.traffic, on: client.configuration.limits.day)
    try meter?.save()
  }

  /// Holds the training while the device runs on battery, and lets it go on afterwards.
  func pauseOnBattery() {
    guard let training else { return }
    let gate = training.progress.gate
    switch (client.configuration.limits.isOnBattery, gate.isClosed) {
    case (true, false):
      gate.close()
      client.observer(.paused(training.key, reason: ResourceLimits.onBattery))
    case (false, true):
      gate.open()
      client.observer(.resumed(training.key))
    default: break
    }
  }
}
