import Datasets
import Engine
import Testing

@Suite struct NoisePartitionTests {
  private let grey = ImageSet(
    pixels: [UInt8](repeating: 128, count: 40 * 3 * 64), count: 40, channels: 3, size: 8)

  private func bytes(_ set: Dataset, _ index: Int) throws -> [UInt8] {
    try set.images.withImage(index) { Array($0.bytes) }
  }

  /// The deviation grows from client to client, up to SIGMA.
  @Test func theNoiseGrowsFromClientToClient() throws {
    let partition = Partition.noise(deviation: 0.1)
    let parts = try partition.split(.images(grey), clients: 4, seed: 6)
    for client in 0..<4 {
      let part = partition.part(client, of: .images(grey), parts[client], clients: 4, seed: 6)
      let values = try (0..<part.count).flatMap { try bytes(part, $0) }.map { Double($0) - 128 }
      let deviation = (values.reduce(0) { $0 + $1 * $1 } / Double(values.count)).squareRoot() / 255
      let expected = 0.1 * Double(client + 1) / 4
      #expect(abs(deviation - expected) < 0.1 * expected, "client \(client): \(deviation)")
      #expect(partition.noise(ofClient: client, of: 4) == expected)
    }
  }

  @Test func anImageHasTheSameNoiseEachTime() throws {
    let partition = Partition.noise(deviation: 0.2)
    let parts = try partition.split(.images(grey), clients: 2, seed: 6)
    func part(_ client: Int, _ seed: UInt64) -> Dataset {
      partition.part(client, of: .images(grey), parts[client], clients: 2, seed: seed)
    }
    let first = try bytes(part(1, 6), 3)
    #expect(try bytes(part(1, 6), 3) == first)
    #expect(try bytes(part(1, 7), 3) != first && bytes(part(1, 6), 4) != first)
    // Of a subset and after fitting to another encoder, it is still the noise of that image.
    #expect(try bytes(part(1, 6).subset([3]), 0) == first)
    #expect(try bytes(part(1, 6).fitted(to: .images(ImageInput(side: 8))), 3) == first)
    // A share of a client is the part of a simulation.
    let share = try Share(1, of: 2).examples(of: .images(grey), by: partition, seed: 6)
    #expect(try bytes(share, 3) == first)
  }

  @Test func withoutDeviationNothingChanges() throws {
    let partition = Partition.noise(deviation: 0)
    let parts = try partition.split(.images(grey), clients: 2, seed: 1)
    let part = partition.part(0, of: .images(grey), parts[0], clients: 2, seed: 1)
    #expect(try bytes(part, 0) == [UInt8](repeating: 128, count: 3 * 64))
    #expect(try parts == Partition.even.split(.images(grey), clients: 2, seed: 1))
  }

  @Test func rowsHaveNoiseOfTheirColumns() throws {
    let rows = FeatureRows(
      inputs: (0..<2000).flatMap { [Double($0 % 2) * 100, 5] }, count: 2,
      targets: (0..<2000).map { Double($0) }, count: 1)
    let partition = Partition.noise(deviation: 0.5)
    let parts = try partition.split(.rows(rows), clients: 1, seed: 2)
    let noisy = try partition.part(0, of: .rows(rows), parts[0], clients: 1, seed: 2).rows
    let differences = (0..<2000).map { Array(noisy.inputs(of: $0))[0] - Array(rows.inputs(of: $0))[0] }
    let deviation = (differences.reduce(0) { $0 + $1 * $1 } / 2000).squareRoot()
    // A column of 0 and 100 has a deviation of 50.
    #expect(abs(deviation - 25) < 2, "\(deviation)")
    #expect((0..<2000).allSatisfy { Array(noisy.inputs(of: $0))[1] == 5 }, "a constant column stays")
    #expect((0..<2000).allSatisfy { Array(noisy.targets(of: $0)) == [Double($0)] })
  }

  @Test func nodesHaveNone() throws {
    let nodes = Dataset.nodes(BlockModel(nodes: 100).generate())
    let error = #expect(throws: DatasetError.self) {
      try Partition.noise(deviation: 1).split(nodes, clients: 2, seed: 1)
    }
    #expect(error?.description.contains("it adds noise to images and rows, not to nodes") == true)
  }
}
