import Foundation
import Simulation
import TestSupport
import Testing

@Suite(.unhurried) struct DelayLineTests {
  private func piece(_ bytes: Int) -> DelayLine.Piece {
    DelayLine.Piece(bytes: Data(repeating: UInt8(bytes), count: bytes), arrival: .now)
  }

  @Test func piecesComeOutInOrder() async {
    let line = DelayLine(capacity: 100)
    for bytes in 1...9 { line.put(piece(bytes)) }
    var taken = line.pieces.makeAsyncIterator()
    for bytes in 1...9 { #expect(await taken.next()?.bytes == piece(bytes).bytes) }
  }

  @Test func thereIsRoomUpToTheCapacity() async {
    let line = DelayLine(capacity: 100)
    line.put(piece(60))
    #expect(await line.waitForRoom(40) == false)
  }

  /// A full line accepts nothing until a piece has left it.
  @Test func aFullLineMakesItsSenderWait() async {
    let line = DelayLine(capacity: 100)
    let held = [piece(60), piece(40)]
    for piece in held { line.put(piece) }
    let order = OrderLog()
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        #expect(await line.waitForRoom(50))
        order.note("room")
      }
      // Gives the task time to pass a line that fails to block it.
      for _ in 0..<100 { await Task.yield() }
      line.remove(held[1])
      for _ in 0..<100 { await Task.yield() }
      order.note("40 left it")
      line.remove(held[0])
    }
    #expect(order.events == ["40 left it", "room"])
  }
}
