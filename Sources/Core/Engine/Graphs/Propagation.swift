/// A propagation operator P of a graph: row i of P x combines the values of node i with those of its neighbours.
///
/// N nodes, d_i neighbours of node i. P is not symmetric, not even for an undirected graph, because row i is divided by
/// the number of its own neighbours. It is never formed: both directions stream over the entries of the graph.
package enum Propagation: String, Sendable, Codable, CaseIterable {
  /// P = D⁻¹(A + I) + I with D = diag(d_i + 1): x_i + (x_i + Σ x_j) / (d_i + 1) (L-GCN, arXiv 2003.13606).
  case lgcn
  /// P = D⁻¹A with D = diag(d_i): the mean of the neighbours, 0 without any (LRGI, arXiv 2309.01503).
  case mean

  /// Whether a node has a part in its own row.
  private var includesSelf: Bool { self == .lgcn }

  /// Returns the factor of a row's sum: 1 / (d + 1), or 1 / d and 0 without neighbours.
  private func scale(degree: Int) -> Float {
    includesSelf ? 1 / Float(degree + 1) : degree > 0 ? 1 / Float(degree) : 0
  }

  /// Computes z = P^hops x. z may be x.                                        x, z [N, F]
  ///
  /// Columns are propagated a tile at a time: the tile's values of all nodes are packed first, so that x can be
  /// replaced, and a neighbour's values are in adjacent cache lines. `tile` is a place of ``tile(nodes:in:)``.
  package func forward(
    _ x: Matrix, on graph: Graph, hops: Int = 1, into z: Matrix, tile: Matrix, _ workers: Workers
  ) {
    precondition(x.rows == graph.count && hops > 0, "\(x.rows) rows on \(graph.count) nodes in \(hops) hops")
    graph.withAdjacency { rows in
      for hop in 0..<hops { forward(hop == 0 ? x : z, on: rows, into: z, tile: tile, workers) }
    }
  }

  /// Computes z = P x for the first M of N nodes, of which `rows` has the rows. z may be x if M = N. x [N, F], z [M, F]
  package func forward(
    _ x: Matrix, on rows: Adjacency, into z: Matrix, tile: Matrix, _ workers: Workers
  ) {
    check(x, z, outputs: z.rows, rows, tile)
    Gathering(rows, includesSelf: includesSelf, tile).run(x, into: z, workers) { _ in
      1
    } finish: {
      node, sum, own in
      sum * scale(degree: rows.degree(of: node)) + (includesSelf ? own : .zero)
    }
  }

  /// Computes the row of P x [F] of a node, from values that need not be stored as a matrix.
  package func forward(
    _ x: any NodeValues, node: Int, on graph: Graph, into place: UnsafeMutablePointer<Float>
  ) {
    precondition(x.count == graph.count, "values of \(x.count) of \(graph.count) nodes")
    let scale = scale(degree: graph.degree(of: node))
    place.update(repeating: 0, count: x.width)
    if includesSelf { x.add(node, scale: 1 + scale, to: place) }
    for neighbour in graph.neighbours(of: node) { x.add(Int(neighbour), scale: scale, to: place) }
  }

  /// Computes dx = (P^hops)ᵀ dz. dx may be dz.                                 dz, dx [N, F]
  ///
  /// Row i of P gives dz_i, with its factor, to each node from which it takes. Each node gathers these gradients in the
  /// order of `transposed`, the graph's ``Graph/transposed()``, so that the result does not depend on the workers.
  package func backward(
    _ dz: Matrix, on graph: Graph, transposed: Graph, hops: Int = 1, into dx: Matrix, tile: Matrix,
    _ workers: Workers
  ) {
    precondition(
      dz.rows == graph.count && hops > 0, "\(dz.rows) rows on \(graph.count) nodes in \(hops) hops")
    precondition(
      transposed.count == graph.count && transposed.entries == graph.entries, "the transpose of another graph"
    )
    graph.withAdjacency { rows in
      transposed.withAdjacency { takers in
        for hop in 0..<hops {
          backward(hop == 0 ? dz : dx, on: rows, takers: takers, into: dx, tile: tile, workers)
        }
      }
    }
  }

  /// Computes dx = Pᵀ dz for the first M of N rows of P. `takers` lists for each of N nodes, ascending, the rows that take
  /// from it; rows from M on are ignored. dx may be dz if M = N.                                dz [M, F], dx [N, F]
  package func backward(
    _ dz: Matrix, on rows: Adjacency, takers: Adjacency, into dx: Matrix, tile: Matrix, _ workers: Workers
  ) {
    check(dx, dz, outputs: dx.rows, takers, tile)
    Gathering(takers, includesSelf: includesSelf, tile).run(dz, into: dx, workers) { node in
      scale(degree: rows.degree(of: node))
    } finish: { _, sum, own in
      sum + (includesSelf ? own : .zero)
    }
  }

  /// - Parameter outputs: the number of rows that are computed.
  private func check(_ x: Matrix, _ z: Matrix, outputs: Int, _ rows: Adjacency, _ tile: Matrix) {
    precondition(
      x.rows >= z.rows && rows.count == outputs && z.columns == x.columns,
      "[\(x.rows), \(x.columns)] and [\(z.rows), \(z.columns)] on \(rows.count) rows")
    precondition(
      tile.rows >= x.rows && tile.columns == Tile.scalarCount && tile.isContiguous,
      "a tile [\(tile.rows), \(tile.columns)] of \(x.rows) nodes")
  }

  /// Adds the work space of a propagation over `nodes` nodes to a layout.
  package static func tile(nodes: Int, in layout: inout Layout) -> Slot {
    layout.add("propagation tile", nodes, Tile.scalarCount)
  }

  /// The columns that are propagated at a time: those of one cache line.
  fileprivate typealias Tile = SIMD16<Float>
}

/// Sums over the nodes of each row, a tile of columns at a time.
private struct Gathering {
  private let rows: Adjacency
  /// Whether a node's own values are part of its sum.
  private let includesSelf: Bool
  /// The packed columns of all nodes [N, 16]. Columns that a narrow last tile does not fill are summed too, but not
  /// written.
  private let tile: Matrix

  typealias Tile = Propagation.Tile

  init(_ rows: Adjacency, includesSelf: Bool, _ tile: Matrix) {
    (self.rows, self.includesSelf, self.tile) = (rows, includesSelf, tile)
  }

  /// For each tile of columns t_i = factor(i) x_i, and z_i = finish(i, Σ t_j over the nodes j of row i, x_i). Nodes beyond
  /// the rows of x give nothing.
  @inline(__always)
  func run(
    _ x: Matrix, into z: Matrix, _ workers: Workers, factor: (Int) -> Float,
    finish: (_ node: Int, _ sum: Tile, _ own: Tile) -> Tile
  ) {
    let (width, starts) = (Tile.scalarCount, rows.starts)
    let packed = (x.rows + Self.grain - 1) / Self.grain
    let gathered = (z.rows + starts[z.rows] - starts[0] + Self.grain - 1) / Self.grain
    for start in stride(from: 0, to: x.columns, by: width) {
      let columns = min(width, x.columns - start)
      workers.run(packed) { task, _ in
        for node in task * Self.grain..<min((task + 1) * Self.grain, x.rows) {
          store(load(x.row(node) + start, columns) * factor(node), tile.row(node), width)
        }
      }
      workers.run(gathered) { task, _ in
        // Tasks have about as many entries each, because a few nodes can have most of them.
        for node in row(task)..<row(task + 1) {
          let isInput = node < x.rows
          var sum = includesSelf && isInput ? load(tile.row(node), width) : .zero
          for entry in starts[node]..<starts[node + 1] {
            let column = Int(rows.columns[entry])
            // Only a transpose lists rows that are not computed, and ascending.
            guard column < x.rows else { break }
            sum += load(tile.start + column &* width, width)
          }
          let own = isInput ? load(x.row(node) + start, columns) : .zero
          store(finish(node, sum, own), z.row(node) + start, columns)
        }
      }
    }
  }

  /// The rows and entries of a task.
  private static let grain = 4096

  /// Returns the first row of a task: the first one with at least so many rows and entries before it.
  private func row(_ task: Int) -> Int {
    var (low, high) = (0, rows.count)
    while low < high {
      let middle = (low + high) / 2
      if rows.starts[middle] - rows.starts[0] + middle < task * Self.grain {
        low = middle + 1
      } else {
        high = middle
      }
    }
    return low
  }

  @inline(__always)
  private func load(_ place: UnsafePointer<Float>, _ columns: Int) -> Tile {
    if columns == Tile.scalarCount { return UnsafeRawPointer(place).loadUnaligned(as: Tile.self) }
    var tile = Tile.zero
    for column in 0..<columns { tile[column] = place[column] }
    return tile
  }

  @inline(__always)
  private func store(_ values: Tile, _ place: UnsafeMutablePointer<Float>, _ columns: Int) {
    if columns == Tile.scalarCount {
      UnsafeMutableRawPointer(place).storeBytes(of: values, as: Tile.self)
    } else {
      for column in 0..<columns { place[column] = values[column] }
    }
  }
}

extension Graph {
  /// Returns the graph with all entries reversed: row j lists, ascending, the nodes that take from node j. An
  /// undirected graph is its own transpose, and is returned without a copy.
  package func transposed() -> Graph {
    var next = [Int](repeating: 0, count: count + 1)
    for column in columns { next[Int(column) + 1] += 1 }
    for node in 0..<count { next[node + 1] += next[node] }
    let starts = next
    if starts == self.starts, isOwnTranspose(&next) { return self }
    next = starts
    let columns = [Int32](unsafeUninitializedCapacity: entries) { buffer, initialised in
      for node in 0..<count {
        for neighbour in neighbours(of: node) {
          buffer[next[Int(neighbour)]] = Int32(node)
          next[Int(neighbour)] += 1
        }
      }
      initialised = entries
    }
    return Graph(starts: starts, columns: columns)
  }

  /// Whether the reversed entries, in the order of their rows, are the entries. `next` is where the rows of the transpose
  /// start, and is overwritten.
  private func isOwnTranspose(_ next: inout [Int]) -> Bool {
    for node in 0..<count {
      for neighbour in neighbours(of: node) {
        let place = next[Int(neighbour)]
        guard columns[place] == Int32(node) else { return false }
        next[Int(neighbour)] += 1
      }
    }
    return true
  }
}
