import DataFiles
import CTurboJPEG
import Datasets
import Engine
import Testing

/// Randomly damaged files, and files with false headers: the result is an error with a reason or images, and never the
/// end of the process.
@Suite struct DamagedFilesTests {
  private static let seed = UInt64.random(in: 0...UInt64.max)
  private let files = try! TestFiles()

  /// Returns a file with bytes changed, removed, repeated or truncated; some numbers become large.
  private func damaged(_ file: [UInt8], _ random: inout RandomNumbers) -> [UInt8] {
    var file = file
    for _ in 0...random.below(4) where !file.isEmpty {
      // Headers are at the beginning or, in an archive, at the end.
      let reach = random.chance(0.5) ? min(64, file.count) : file.count
      let place = random.chance(0.2) ? file.count - 1 - random.below(reach) : random.below(reach)
      let end = min(place + 1 + random.below(8), file.count)
      switch random.below(6) {
      case 0: file[place] = UInt8(random.below(256))
      case 1: file[place] ^= 1 << random.below(8)
      case 2: for index in place..<end { file[index] = 0xFF }
      case 3: for index in place..<end { file[index] = 0 }
      case 4: file.removeSubrange(place..<end)
      default: file.insert(contentsOf: file[place..<end], at: place)
      }
    }
    return random.chance(0.2) ? Array(file.prefix(random.below(file.count + 1))) : file
  }

  /// Loads a damaged file `rounds` times. Returns how often that gave images.
  private func survivors(_ rounds: Int, _ name: String, _ file: [UInt8], _ spec: String) throws -> Int {
    print("DamagedFilesTests, \(name): seed \(Self.seed)")
    var survivors = 0
    for round in 0..<rounds {
      var random = RandomNumbers(Self.seed, name, round)
      try files.write(name, damaged(file, &random))
      do throws(DatasetError) {
        let set = try DataSpec(parsing: spec).load(role: .train, for: ImageFit(size: 8, channels: 3))
        let first = set.bytes(set.count - 1)
        #expect(first.count == set.shape(set.count - 1).count, "seed \(Self.seed), round \(round)")
        if set.broken.isEmpty { survivors += 1 }
      } catch {
        #expect(
          !error.description.isEmpty && !error.description.contains("\n"), "seed \(Self.seed), round \(round)"
        )
      }
    }
    return survivors
  }

  @Test func images() throws {
    let pixels = Make.noise(24 * 20 * 3, seed: 1)
    let plain = try Make.jpeg(pixels, height: 24, width: 20, quality: 80)
    let jpeg = Make.oriented(plain, 6)
    let progressive = try Make.jpeg(
      pixels, height: 24, width: 20, subsampling: TJSAMP_420, flags: TJFLAG_PROGRESSIVE)
    let png = try Make.png(pixels, height: 24, width: 20)
    let palette = try Make.png(
      indices: pixels.prefix(480).map { $0 % 16 }, palette: Make.noise(48, seed: 2), height: 24, width: 20)
    for (name, file) in [("a.jpg", jpeg), ("b.jpg", progressive), ("c.png", png), ("d.png", palette)] {
      let folder = "f\(name.prefix(1))"
      let count = try survivors(1000, "\(folder)/\(name)", file, "folder:\(files.path)/\(folder)")
      #expect(count < 1000, "a thousand damaged files are not all whole")
    }
  }

  @Test(arguments: [true, false])
  func archives(deflated: Bool) throws {
    let images = Make.npy([5, 6, 6, 3], Make.noise(540, seed: 3))
    let labels = Make.npy([5, 1], [0, 1, 2, 1, 0])
    let file = Make.zip(
      [("train_images.npy", images), ("train_labels.npy", labels)], deflated: deflated)
    #expect(try survivors(1500, "x\(deflated).npz", file, "npz:\(files.path)/x\(deflated).npz") < 1500)
  }

  @Test func arrays() throws {
    let npy = Make.npy([5, 6, 6], Make.noise(180, seed: 4))
    #expect(try survivors(1500, "x.npy", npy, "npy:\(files.path)/x.npy") < 1500)
    let idx = Make.idx([5, 6, 6], Make.noise(180, seed: 5))
    #expect(try survivors(1000, "x.idx", idx, "idx:\(files.path)/x.idx") < 1000)
    #expect(try survivors(1000, "x.gz", Make.gzip(idx), "idx:\(files.path)/x.gz") < 1000)
  }

  @Test func labels() throws {
    try files.write("x.npy", Make.npy([5, 6, 6], Make.noise(180, seed: 4)))
    let labels = Make.npy([5], [1, 2, 3, 4, 0].flatMap { Make.little($0, 8) }, type: "<i8")
    let spec = "npy:\(files.path)/x.npy?labels=\(files.path)/y.npy"
    #expect(try survivors(1000, "y.npy", labels, spec) < 1000)
  }
}
