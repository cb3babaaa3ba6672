import Engine

/// The representations of test samples by their two principal components, with their classes.
package struct RepresentationPicture: Sendable, Hashable {
  /// The coordinates of each sample; finite.
  package let points: [SIMD2<Float>]
  /// The shares of the variance that the two directions explain, 0 … 1.
  package let explained: [Double]
  /// The class of each sample, from 0; nil without labels.
  package let labels: [Int]?
  /// The names of the classes in order; nil if they have only numbers.
  package let classNames: [String]?

  /// The most samples of a picture: more points would cover each other.
  package static let mostSamples = 1000
  /// The greatest class.
  private static let mostClasses = 1 << 16

  init(_ components: PrincipalComponents, labels: [Int]?, classNames: [String]?) {
    points = components.points.map { SIMD2<Float>($0) }
    explained = [components.explained.x, components.explained.y]
    (self.labels, self.classNames) = (labels, classNames)
  }
}

/// In JSON: `points` ([[x, y]]), `explained`, `labels` and `classNames`.
extension RepresentationPicture: Codable {
  private enum CodingKeys: String, CodingKey { case points, explained, labels, classNames }

  /// Throws `DecodingError` if the values do not belong together.
  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    let coordinates = try values.decode([[Float]].self, forKey: .points)
    func require(_ condition: Bool, _ key: CodingKeys, _ problem: String) throws {
      guard condition else {
        throw DecodingError.dataCorruptedError(forKey: key, in: values, debugDescription: problem)
      }
    }
    try require(coordinates.count <= Self.mostSamples, .points, "\(coordinates.count) points")
    try require(
      coordinates.allSatisfy { $0.count == 2 && $0.allSatisfy(\.isFinite) }, .points,
      "a point without two numbers")
    points = coordinates.map { SIMD2($0[0], $0[1]) }
    explained = try values.decode([Double].self, forKey: .explained)
    try require(
      explained.count == 2 && explained.allSatisfy { $0 >= 0 && $0 <= 1 + 1e-9 }, .explained,
      "not two shares")
    labels = try values.decodeIfPresent([Int].self, forKey: .labels)
    classNames = try values.decodeIfPresent([String].self, forKey: .classNames)
    let count = points.count
    try require(
      labels.map { $0.count == count && $0.allSatisfy { (-1...Self.mostClasses).contains($0) } } ?? true,
      .labels,
      "not a class for each point")
  }

  package func encode(to encoder: any Swift.Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(points.map { [$0.x, $0.y] }, forKey: .points)
    try values.encode(explained, forKey: .explained)
    try values.encodeIfPresent(labels, forKey: .labels)
    try values.encodeIfPresent(classNames, forKey: .classNames)
  }
}
