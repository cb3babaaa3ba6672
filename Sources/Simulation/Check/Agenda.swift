/// What will happen, in virtual time: the earliest first, and of those at the same time the one noted first.
struct Agenda<Event> {
  private var heap: [(time: Duration, number: Int, event: Event)] = []
  private var count = 0

  mutating func note(_ event: Event, at time: Duration) {
    heap.append((time, count, event))
    count += 1
    var child = heap.count - 1
    while child > 0, isEarlier(child, than: (child - 1) / 2) {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  /// Takes the next event out; nil where there is none.
  mutating func next() -> (time: Duration, event: Event)? {
    guard let first = heap.first else { return nil }
    let last = heap.removeLast()
    if !heap.isEmpty {
      heap[0] = last
      sink()
    }
    return (first.time, first.event)
  }

  private mutating func sink() {
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && isEarlier(child, than: least)
      {
        least = child
      }
      guard least != parent else { return }
      heap.swapAt(parent, least)
      parent = least
    }
  }

  private func isEarlier(_ a: Int, than b: Int) -> Bool {
    (heap[a].time, heap[a].number) < (heap[b].time, heap[b].number)
  }
}
