import Support
import Support
import Testing

struct ByteCountTests {
  @Test(arguments: [
    ("256MB", 256_000_000), ("1GiB", 1 << 30), ("512MiB", 512 << 20), ("7B", 7), ("3KB", 3000),
    ("2KiB", 2048),
  ])
  func readsAndWrites(text: String, bytes: Int) throws {
    let count = try #require(ByteCount(text))
    #expect(count.bytes == bytes)
    #expect(ByteCount(count.description) == count)
  }

  @Test(arguments: ["", "256", "MB", "0MB", "-1MB", "1.5GB", "256 MB", "256mb", "99999999999999GB"])
  func refuses(text: String) {
    #expect(ByteCount(text) == nil)
  }
}
