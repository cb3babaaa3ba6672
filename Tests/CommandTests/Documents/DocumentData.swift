import DataFiles
import Foundation

/// Creates small data sets of every format at the paths used in the documents.
enum DocumentData {
  private static let count = 96

  /// Writes them to a folder.
  static func write(under folder: URL) throws {
    for (name, bytes) in try files() {
      let file = folder.appendingPathComponent(name)
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(bytes).write(to: file)
    }
  }

  private static func files() throws -> [(name: String, bytes: [UInt8])] {
    let labels = (0..<count).map { UInt8($0 % 10) }
    let digits = Make.noise(count * 28 * 28, seed: 1)
    let arrays = { (images: String, labelled: String, shape: [Int]) in
      Make.zip([
        (images + ".npy", Make.npy(shape, digits)), (labelled + ".npy", Make.npy([count], labels)),
      ])
    }
    var files = [
      ("srv/cifar-10/data_batch_1.bin", records(3072) { [labels[$0]] }),
      ("srv/cifar-10/test_batch.bin", records(3072) { [labels[$0]] }),
      ("srv/cifar-100/train.bin", records(3072) { [UInt8($0 % 20), UInt8($0)] }),
      ("srv/stl10/unlabeled_X.bin", Make.noise(8 * 27648, seed: 2)),
      ("srv/pneumoniamnist.npz", arrays("val_images", "val_labels", [count, 28, 28])),
      ("srv/mnist.npz", arrays("x_train", "y_train", [count, 28, 28])),
      ("srv/t10k-images-idx3-ubyte.gz", Make.gzip(Make.idx([count, 28, 28], digits))),
      ("srv/t10k-labels-idx1-ubyte.gz", Make.gzip(Make.idx([count], labels))),
      ("srv/images.npy", Make.npy([count, 28, 28], digits)), ("srv/labels.npy", Make.npy([count], labels)),
    ]
    files += graph()
    for index in 0..<64 {
      let pixels = Make.noise(32 * 32 * 3, seed: UInt64(index))
      let name = "\(index % 2 == 0 ? "cat" : "dog")/\(index)"
      let png = try Make.png(pixels, height: 32, width: 32)
      files += [("srv/photos/\(name).png", png), ("srv/images/\(name).png", png)]
    }
    return files
  }

  /// Returns a ring of 30 nodes, as text and as arrays.
  private static func graph() -> [(name: String, bytes: [UInt8])] {
    let nodes = 0..<30
    let ends = nodes.flatMap { [UInt8($0), UInt8(($0 + 1) % nodes.count)] }
    let lines = { (line: (Int) -> String) in Array(nodes.map(line).joined(separator: "\n").utf8) }
    let arrays = [
      ("edges", Make.npy([nodes.count, 2], ends)),
      ("x", Make.npy([nodes.count, 1], nodes.map { UInt8($0 + 1) })),
      ("y", Make.npy([nodes.count], nodes.map { UInt8($0 % 3) })), ("val_idx", Make.npy([2], [3, 4])),
      ("test_idx", Make.npy([3], [0, 1, 2])),
    ]
    return [
      (
        "srv/citations/edges.csv", Array("source,target\n".utf8) + lines { "\($0),\(($0 + 1) % nodes.count)" }
      ),
      ("srv/citations/features.csv", lines { "\($0 % 2),0.5" }),
      ("srv/citations/labels.csv", lines { $0 % 2 == 0 ? "even" : "odd" }),
      ("srv/citations.npz", Make.zip(arrays.map { ($0.0 + ".npy", $0.1) })),
    ]
  }

  /// Returns records of a label and `size` bytes.
  private static func records(_ size: Int, _ labels: (Int) -> [UInt8]) -> [UInt8] {
    (0..<count).flatMap { labels($0) + Make.noise(size, seed: UInt64($0)) }
  }
}
