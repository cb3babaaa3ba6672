#if canImport(Glibc)
  import CMalloc
#endif

/// How the C library's allocator treats large blocks.
enum Allocator {
  /// Large blocks are given back to the kernel as soon as they are freed. Left alone, the allocator raises
  /// its threshold with every large block that is freed and then keeps holes the size of layers: a
  /// simulation of 100 clients had half as much memory again resident.
  static func returnLargeBlocks() {
    #if canImport(Glibc)
      _ = mallopt(M_MMAP_THRESHOLD, 256 << 10)
    #endif
  }
}
