import Federation
import Foundation
import Wire

/// The resource limits of a connection.
extension ClientSession {
  /// Returns why the client declines an assignment; nil if it accepts it, and for any other message.
  func declineReason(for message: Message) throws(ClientError) -> DeclineReason? {
    guard case .assignment(let assignment) = message else { return nil }
    if let reason = client.configuration.declines(assignment.key) { return reason }
    let limits = client.configuration.limits
    guard meter != nil else { return limits.declineReason(needed: 0, spent: 0) }
    let day = limits.day
    try meter?.note(connection.traffic, on: day)
    return limits.declineReason(needed: try bytes(of: assignment), spent: meter?.spent(on: day) ?? 0)
  }

  /// Returns the bytes that a round will transfer, frames included: the layers and coded differences that are missing
  /// here, the update, the messages that fetch and offer them, and the next assignment with the decline of it.
  private func bytes(of assignment: Assignment) throws(ClientError) -> Int {
    let missing = assignment.lacking(cache.holds).reduce(0) { sum, version in
      sum + Self.fetchBytes + Frame.bytes(ofPieces: chunk, of: version.bytes - cache.received(version))
    }
    return try missing + Self.offerBytes + Self.declineBytes
      + Frame.bytes(ofPieces: chunk, of: updateBytes(assignment))
  }

  /// The bytes of a fetch; of an offer, a request and an acknowledgement; and of an assignment of some tens of parts and
  /// its decline.
  private static let (fetchBytes, offerBytes, declineBytes) = (128, 800, 1024)

  /// Returns the bytes of a round's coded update: the exact number if it is trained already, otherwise the codec's
  /// maximum times the compression ratio of the last update.
  private func updateBytes(_ assignment: Assignment) throws(ClientError) -> Int {
    if let update = pendingUpdates.update(for: assignment) { return update.bytes.count }
    guard let work else { return 0 }
    _ = try work.stage(of: assignment)
    let coding = work.coding(assignment.codec, assignment.key)
    return Int((Double(coding.mostBytes) * (packed[coding.codec] ?? 1)).rounded(.up))
  }

  /// Records the compression ratio of an update.
  func note(_ update: LocalWork.Update) {
    guard let coding = work?.coding(update.offer.codec, update.offer.key) else { return }
    packed[coding.codec] = Double(update.bytes.count) / Double(max(coding.mostBytes, 1))
  }

  /// Returns why a finished update is not sent: it is larger than expected, and exceeds the rest of the day's bytes.
  func declineReason(for update: LocalWork.Update) throws(ClientError) -> DeclineReason? {
    guard meter != nil else { return nil }
    let limits = client.configuration.limits
    let day = limits.day
    try meter?.note(connection.traffic, on: day)
    let needed = Frame.bytes(ofPieces: chunk, of: update.bytes.count)
    return limits.overspending(needed: needed, spent: meter?.spent(on: day) ?? 0)
  }

  /// Checks the hours, the power supply and the bytes at regular intervals.
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
          return  // The receiving task gets the same error.
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
    // Heartbeats are a few hundred bytes per minute: too few to write the file each time.
    try meter?.save(from: 16 << 10)
  }

  /// Writes the byte counts to the file when the connection ends.
  func saveBytes() throws(ClientError) {
    try meter?.note(connection.traffic, on: client.configuration.limits.day)
    try meter?.save()
  }

  /// Pauses the training while the device runs on battery, and resumes it afterwards.
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
