import Engine

extension Partition {
  /// Divides shuffled examples in proportions drawn from Dirichlet(beta), whatever their labels (quantity skew of arXiv
  /// 2102.02079, section 4.3), then moves single examples from the largest client to those with fewer than ``minimum``.
  static func sizes(_ beta: Double, count: Int, clients: Int, _ random: inout RandomNumbers) -> [[Int]] {
    let shuffled = Array(0..<count).shuffled(using: &random)
    let proportions = random.dirichlet(beta, count: clients)
    var parts: [[Int]] = []
    var (sum, start) = (0.0, 0)
    for client in 0..<clients {
      sum += proportions[client]
      let end = client == clients - 1 ? count : Int((sum * Double(count)).rounded())
      let stop = min(max(end, start), count)
      parts.append(Array(shuffled[start..<stop]))
      start = stop
    }
    repair(&parts, &random)
    return parts
  }
}
