/// The elements of an array of NumPy as the bytes of images, one image after another, whatever their type and order.
final class NumPyPixels {
  private let array: NumPyArray
  private let element: NumPyElement
  /// Of an array that is stored by columns: all of it, as it is stored.
  private var columns: [UInt8]?
  private var position = 0

  /// Elements that are read at a time.
  private static let piece = 1 << 16

  /// Throws a ``DatasetError`` for elements that cannot be bytes of images.
  init(_ array: NumPyArray) throws(DatasetError) {
    guard let element = array.element, element.kind != .truth else {
      throw .malformed(
        path: array.reader.path,
        problem:
          "holds \(array.type), where images are bytes, or whole numbers of 0 to 255, or floats of 0 to 1")
    }
    (self.array, self.element) = (array, element)
  }

  /// The bytes of the next elements, image after image. Throws a ``DatasetError`` where one is no byte.
  func next(_ count: Int) throws(DatasetError) -> [UInt8] {
    guard array.isByColumns else { return try read(count) }
    let stored: [UInt8]
    if let columns { stored = columns } else { stored = try read(array.count ?? 0) }
    columns = stored
    defer { position += count }
    return (position..<position + count).map { stored[place(of: $0)] }
  }

  /// Where an element that has an index by rows is by columns: there the first side's index changes fastest.
  private func place(of index: Int) -> Int {
    var (index, place) = (index, 0)
    for side in array.shape.reversed() {
      place = place * side + index % side
      index /= side
    }
    return place
  }

  private func read(_ count: Int) throws(DatasetError) -> [UInt8] {
    if element.isByte { return try array.reader.read(count) }
    var pixels: [UInt8] = []
    pixels.reserveCapacity(count)
    while pixels.count < count {
      let stored = try array.reader.read(min(Self.piece, count - pixels.count) * element.width)
      for index in stride(from: 0, to: stored.count, by: element.width) {
        guard let byte = element.byte(stored, at: index) else {
          let range = element.kind == .float ? "floats are 0 to 1" : "whole numbers are 0 to 255"
          throw .malformed(
            path: array.reader.path,
            problem:
              "element \(pixels.count) is \(element.shown(stored, at: index)), where an image's \(range)")
        }
        pixels.append(byte)
      }
    }
    return pixels
  }
}
