import Engine

extension Graph {
  /// Divides the nodes into `parts` communities without any randomness, and returns the nodes of each, ascending.
  ///
  /// For each part in turn, it starts at the unassigned node of the largest degree (the smallest index among equals),
  /// then takes one by one the unassigned node with the most edges into the part (among equals the smallest degree,
  /// then the smallest index; if none has any, again the largest degree), until the part has N / K nodes, the first
  /// N mod K parts one more. O((N + E) log N) time, O(N) memory.
  package func communities(_ parts: Int) -> [[Int]] {
    precondition(parts >= 1, "\(parts) communities")
    var frontier = Frontier(self)
    return (0..<parts).map { part in
      let size = count / parts + (part < count % parts ? 1 : 0)
      defer { frontier.clear() }
      return (0..<size).map { _ in
        let node = frontier.take()
        for neighbour in neighbours(of: node) { frontier.raise(Int(neighbour)) }
        return node
      }.sorted()
    }
  }

  /// Returns the nodes by degree, ascending or descending, and then by index; sorted by counting.
  fileprivate func byDegree(ascending: Bool) -> [Int32] {
    let largest = (0..<count).reduce(0) { max($0, degree(of: $1)) }
    func bucket(_ node: Int) -> Int { ascending ? degree(of: node) : largest - degree(of: node) }
    var next = [Int](repeating: 0, count: largest + 2)
    for node in 0..<count { next[bucket(node) + 1] += 1 }
    for index in 0...largest { next[index + 1] += next[index] }
    var order = [Int32](repeating: 0, count: count)
    for node in 0..<count {
      order[next[bucket(node)]] = Int32(node)
      next[bucket(node)] += 1
    }
    return order
  }
}

/// The unassigned nodes with edges into a community that grows: a binary heap that knows the place of each node.
private struct Frontier {
  /// The place of a node that is not in the heap, and of one that has been taken.
  private static let (absent, taken): (Int32, Int32) = (-1, -2)

  /// All nodes by degree, descending, and the number of those before the first that may be unassigned.
  private let seeds: [Int32]
  private var nextSeed = 0
  /// The order of nodes with equally many edges into the community.
  private let rank: [Int32]
  private var heap: [Int32] = []
  private var places: [Int32]
  /// The number of edges of each node in the heap into the community.
  private var edges: [Int32]

  init(_ graph: Graph) {
    seeds = graph.byDegree(ascending: false)
    var rank = [Int32](repeating: 0, count: graph.count)
    for (place, node) in graph.byDegree(ascending: true).enumerated() { rank[Int(node)] = Int32(place) }
    self.rank = rank
    places = Array(repeating: Self.absent, count: graph.count)
    edges = Array(repeating: 0, count: graph.count)
  }

  /// Removes the next node of the community.
  mutating func take() -> Int {
    guard let first = heap.first else {
      while places[Int(seeds[nextSeed])] == Self.taken { nextSeed += 1 }
      places[Int(seeds[nextSeed])] = Self.taken
      return Int(seeds[nextSeed])
    }
    let last = heap.removeLast()
    if !heap.isEmpty { sink(last) }
    places[Int(first)] = Self.taken
    return Int(first)
  }

  /// Notes one more edge of a node into the community.
  mutating func raise(_ node: Int) {
    guard places[node] != Self.taken else { return }
    if places[node] == Self.absent {
      edges[node] = 0
      places[node] = Int32(heap.count)
      heap.append(Int32(node))
    }
    edges[node] += 1
    rise(Int32(node))
  }

  /// Begins another community.
  mutating func clear() {
    for node in heap { places[Int(node)] = Self.absent }
    heap.removeAll(keepingCapacity: true)
  }

  private func precedes(_ one: Int32, _ other: Int32) -> Bool {
    let (a, b) = (edges[Int(one)], edges[Int(other)])
    return a == b ? rank[Int(one)] < rank[Int(other)] : a > b
  }

  private mutating func put(_ node: Int32, at place: Int) {
    heap[place] = node
    places[Int(node)] = Int32(place)
  }

  private mutating func rise(_ node: Int32) {
    var place = Int(places[Int(node)])
    while place > 0, precedes(node, heap[(place - 1) / 2]) {
      put(heap[(place - 1) / 2], at: place)
      place = (place - 1) / 2
    }
    put(node, at: place)
  }

  /// Puts a node at the top and moves it down.
  private mutating func sink(_ node: Int32) {
    var place = 0
    while true {
      var child = 2 * place + 1
      guard child < heap.count else { break }
      if child + 1 < heap.count, precedes(heap[child + 1], heap[child]) { child += 1 }
      guard precedes(heap[child], node) else { break }
      put(heap[child], at: place)
      place = child
    }
    put(node, at: place)
  }
}
