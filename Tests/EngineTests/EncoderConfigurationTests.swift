import Engine
import Foundation
import Testing

@Suite struct EncoderConfigurationTests {
  @Test func countsTokensAndPixels() {
    let tiny = EncoderConfiguration(image: 32, patch: 4, width: 192, depth: 12, heads: 3).vit
    #expect(tiny.patches == 64 && tiny.tokens == 65 && tiny.patchSize == 48)
    #expect(tiny.hidden == 768 && tiny.images.count == 3072)
    #expect(tiny.block == EncoderBlock.Shape(tokens: 65, width: 192, heads: 3, hidden: 768))
    let grey = EncoderConfiguration(
      image: 28, channels: 1, patch: 7, width: 10, depth: 1, heads: 2, mlpRatio: 3
    ).vit
    #expect(grey.tokens == 17 && grey.patchSize == 49 && grey.images.count == 784 && grey.hidden == 30)
  }

  /// Configurations are stored and sent.
  @Test func isCodedAndDecoded() throws {
    let encoder = TinyViT.encoder
    let decoded = try JSONDecoder().decode(
      EncoderConfiguration.self, from: JSONEncoder().encode(encoder))
    #expect(decoded == encoder)
    let heads = HeadConfiguration(hidden: 20, output: 10, bias: true)
    #expect(try JSONDecoder().decode(HeadConfiguration.self, from: JSONEncoder().encode(heads)) == heads)
  }
}
