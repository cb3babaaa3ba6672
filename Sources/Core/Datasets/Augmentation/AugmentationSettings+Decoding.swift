extension AugmentationSettings {
  private enum CodingKeys: String, CodingKey, CaseIterable {
    case cropArea, cropRatio, flipProbability, jitterProbability, brightness, contrast, saturation, hue
    case grayscaleProbability, blurProbability, blurKernel, blurSigma, solarizeProbability, solarizeThreshold
    case mean, std
  }

  /// Any key that a document may have, so that a misspelt one is seen.
  private struct AnyKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { return nil }
  }

  /// Takes the default for every setting that is missing; throws a `DecodingError` for one it does not know.
  package init(from decoder: any Decoder) throws {
    for key in try decoder.container(keyedBy: AnyKey.self).allKeys
    where CodingKeys(stringValue: key.stringValue) == nil {
      let known = CodingKeys.allCases.map(\.rawValue).joined(separator: ", ")
      throw DecodingError.dataCorrupted(
        .init(
          codingPath: decoder.codingPath + [key],
          debugDescription: "unknown augmentation setting '\(key.stringValue)'; known: \(known)"))
    }
    let values = try decoder.container(keyedBy: CodingKeys.self)
    func take<Value: Decodable>(_ key: CodingKeys, _ value: inout Value) throws {
      value = try values.decodeIfPresent(Value.self, forKey: key) ?? value
    }
    self.init()
    try take(.cropArea, &cropArea)
    try take(.cropRatio, &cropRatio)
    try take(.flipProbability, &flipProbability)
    try take(.jitterProbability, &jitterProbability)
    try take(.brightness, &brightness)
    try take(.contrast, &contrast)
    try take(.saturation, &saturation)
    try take(.hue, &hue)
    try take(.grayscaleProbability, &grayscaleProbability)
    try take(.blurProbability, &blurProbability)
    blurKernel = try values.decodeIfPresent(Int.self, forKey: .blurKernel)
    try take(.blurSigma, &blurSigma)
    try take(.solarizeProbability, &solarizeProbability)
    try take(.solarizeThreshold, &solarizeThreshold)
    try take(.mean, &mean)
    try take(.std, &std)
  }
}
