extension AugmentationSettings {
  /// For training with labels: crops of 0.6 to 1 of the area, and flips. A class survives those, and an
  /// encoder that has learned to overlook more than that needs no more.
  package static func withLabels(mean: [Float], deviation: [Float]) -> AugmentationSettings {
    var settings = AugmentationSettings()
    settings.cropArea = 0.6...1
    (settings.jitter, settings.grayscale) = (0, 0)
    (settings.blur, settings.solarize) = ([0, 0], [0, 0])
    (settings.mean, settings.deviation) = (mean, deviation)
    return settings
  }
}
