import Federation
import Foundation

/// How a connection minds the box's manners.
extension ClientSession {
  /// Why this client will not train as it is asked to; nil where it will, and for any other message.
  func objection(to message: Message) throws(ClientError) -> Objection? {
    guard case .assignment(let assignment) = message else { return nil }
    if let objection = client.configuration.declines(assignment.key) { return objection }
    let manners = client.configuration.manners
    guard meter != nil else { return manners.objection(needed: 0, spent: 0) }
    let day = manners.day
    try meter?.note(connection.traffic, on: day)
    return manners.objection(needed: bytes(of: assignment), spent: meter?.spent(on: day) ?? 0)
  }

  /// What a round will send through the connection: layers that are not here yet, and the update.
  private func bytes(of assignment: Assignment) -> Int {
    let missing = assignment.lacking(cache.holds)
    let trained = assignment.parts.filter { assignment.trained.contains($0.name) }
    // The sizes are the server's words: they are bounded, so that their sum is a number.
    let sizes = missing.map { $0.bytes - cache.received($0) } + trained.map(\.bytes)
    return sizes.reduce(0) { $0 + min(max($1, 0), 1 << 40) }
  }

  /// Looks every so often at the hours, the power and the bytes.
  func watch() {
    let manners = client.configuration.manners
    guard manners.needWatching else { return }
    watcher?.cancel()
    watcher = Task {
      while !Task.isCancelled {
        do { try await Task.sleep(for: manners.interval) } catch { return }
        do {
          try await mind(manners)
        } catch let error as ClientError {
          return await fail(error)
        } catch {
          return  // The receiving task sees the same end of the connection.
        }
      }
    }
  }

  private func mind(_ manners: Manners) async throws {
    mindPower()
    try countBytes()
    if let objection = manners.closed { try await perform(participation.withdraw(objection)) }
  }

  private func countBytes() throws(ClientError) {
    try meter?.note(connection.traffic, on: client.configuration.manners.day)
    // Signs of life alone, a few hundred bytes a minute, are not worth a write each time.
    try meter?.save(from: 16 << 10)
  }

  /// Writes what was counted at the connection's end.
  func saveBytes() throws(ClientError) {
    try meter?.note(connection.traffic, on: client.configuration.manners.day)
    try meter?.save()
  }

  /// Holds the training while the box runs on battery, and lets it go on afterwards.
  func mindPower() {
    guard let training else { return }
    let brake = training.progress.brake
    switch (client.configuration.manners.isOnBattery, brake.isHeld) {
    case (true, false):
      brake.hold()
      client.observer(.paused(training.key, reason: Manners.onBattery))
    case (false, true):
      brake.letGo()
      client.observer(.resumed(training.key))
    default: break
    }
  }
}
