import Engine
import Testing

struct RepresentationsTests {
  private let configuration = EncoderConfiguration(image: 8, patch: 4, width: 12, depth: 3, heads: 3)

  private func represent(count: Int, threads: Int, chunk: Int) -> [Float] {
    let model = Model(
      configuration, objective: .contrastive(HeadConfiguration(hidden: 8, output: 4)), depth: 3)
    let parameters = Storage(model.layout)
    Initialisation.random(model, into: parameters, seed: 5)
    let size = configuration.input.count
    let result = Representations.of(count, by: model, parameters, workers: Workers(threads), chunk: chunk) {
      image, _, pixels in
      var random = RandomNumbers(9, "image", image)
      for index in 0..<size { pixels[index] = random.normal() }
    }
    return result.all.array()
  }

  @Test func doNotDependOnThreadsOrChunks() {
    let one = represent(count: 11, threads: 1, chunk: 11)
    #expect(represent(count: 11, threads: 3, chunk: 11) == one)
    for (a, b) in zip(represent(count: 11, threads: 2, chunk: 4), one) { #expect(abs(a - b) < 1e-4) }
  }

  @Test func areNormalised() {
    // With weights 1 and biases 0 the final normalisation gives mean 0 and variance 1.
    let rows = represent(count: 5, threads: 2, chunk: 2)
    for image in 0..<5 {
      let row = rows[image * 12..<(image + 1) * 12]
      let mean = row.reduce(0, +) / 12
      let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 12
      #expect(abs(mean) < 1e-4 && abs(variance - 1) < 1e-2, "image \(image)")
    }
  }

  @Test func differFromImageToImage() {
    let rows = represent(count: 2, threads: 1, chunk: 2)
    #expect(Array(rows[..<12]) != Array(rows[12...]))
  }
}
