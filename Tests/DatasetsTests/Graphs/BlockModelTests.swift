import Datasets
import Engine
import Testing

@Suite struct BlockModelTests {
  @Test func theShareOfEdgesWithinAClassIsTheHomophily() {
    var model = BlockModel(nodes: 5000)
    (model.classes, model.degree, model.homophily, model.seed) = (5, 12, 0.7, 3)
    let set = model.generate()
    #expect(set.count == 5000 && set.classes == 5 && set.features.width == 100)
    var within = 0
    for node in 0..<5000 {
      within += set.graph.neighbours(of: node).count { set.labels[Int($0)] == set.labels[node] }
    }
    // Edges drawn among all nodes join a class with the probability 1 / 5. The deviation of a share of 30,000 is 0.0025.
    #expect(abs(Double(within) / Double(set.graph.entries) - (0.7 + 0.3 / 5)) < 0.0125)
    #expect(set.graph.edges > 29_700 && set.graph.edges <= 30_000)
    for label in 0..<5 { #expect(abs(set.labels.count { $0 == label } - 1000) < 150) }
  }

  @Test func wordsAreOfTheNodesClassExceptForTheNoise() {
    var model = BlockModel(nodes: 2000)
    (model.classes, model.features, model.words, model.noise) = (4, 40, 8, 0.5)
    let set = model.generate()
    var (own, all): (Float, Float) = (0, 0)
    var row = [Float](repeating: 0, count: 40)
    for node in 0..<2000 {
      set.features.write(node, into: &row)
      for (feature, value) in row.enumerated() {
        all += value
        if feature % 4 == set.labels[node] { own += value }
      }
    }
    // The deviation of a share of 16,000 words is 0.004.
    #expect(all == 16_000 && abs(own / all - (0.5 + 0.5 / 4)) < 0.02)
  }

  @Test func thePropertiesDetermineTheGraph() {
    let model = BlockModel(nodes: 300)
    var other = model
    other.seed = 1
    let (one, same, different) = (model.generate(), model.generate(), other.generate())
    #expect(one.graph == same.graph && one.labels == same.labels && one.split == same.split)
    #expect(one.graph != different.graph && one.labels != different.labels && one.split != different.split)
    #expect([one.split.train, one.split.validation, one.split.test].map(\.count) == [180, 60, 60])
  }

  @Test func fewNodesAndManyClassesAreAGraphToo() {
    var model = BlockModel(nodes: 2)
    (model.classes, model.features, model.words, model.degree) = (50, 3, 1, 1)
    let set = model.generate()
    #expect(set.count == 2 && set.graph.edges <= 1 && set.features.width == 3)
  }
}
