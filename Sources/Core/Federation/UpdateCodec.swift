/// How an update's numbers travel, all of them as the difference to the round's weights, compressed with zlib.
package enum UpdateCodec: String, Sendable, Hashable, Codable, CaseIterable {
  /// The weights themselves, as they are and not compressed: what every client can send.
  case plain
  /// Exactly.
  case float32
  /// The upper half of a float32: 8 bits of precision.
  case bfloat16
  /// 255 and 15 levels a row, with stochastic rounding.
  case int8
  case int4
  /// The largest differences alone, as bfloat16; what is left out is added to the client's next update (error
  /// feedback, arXiv 1809.07599).
  case topK = "top-k"
}
