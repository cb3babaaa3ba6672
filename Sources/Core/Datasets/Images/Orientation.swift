/// How a stored image is turned before it is seen: the eight values of EXIF's tag Orientation (CIPA DC-008,
/// 4.6.4.A). Its names say where the stored image's first row and first column are seen.
enum Orientation: Int, Sendable, CaseIterable {
  case topLeft = 1
  case topRight, bottomRight, bottomLeft, leftTop, rightTop, rightBottom, leftBottom

  /// Whether stored rows are seen as columns.
  var swapsAxes: Bool { rawValue >= 5 }
  /// Whether the row that is seen first, after the swap, comes last in memory.
  var startsAtBottom: Bool {
    switch self {
    case .bottomRight, .bottomLeft, .rightBottom, .leftBottom: true
    default: false
    }
  }
  /// Whether the column that is seen first, after the swap, comes last in memory.
  var startsAtRight: Bool {
    switch self {
    case .topRight, .bottomRight, .rightTop, .rightBottom: true
    default: false
    }
  }
}
