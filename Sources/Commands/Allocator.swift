#if canImport(Glibc)
  import CGlibc
#endif

/// How the C library's allocator treats large blocks.
enum Allocator {
  /// Large blocks are given back to the kernel as soon as they are freed. Left alone, the allocator raises
  /// its threshold with every large block that is freed and then keeps holes the size of layers: a
  /// simulation of 100 clients had half as much memory again resident.
  static func returnLargeBlocks() {
    #if canImport(Glibc)
      _ = mallopt(M_MMAP_THRESHOLD, 256 << 10)
      // What frames are made of is below that, and comes again at once: with the usual 128 KiB each of them was
      // given back and faulted in anew, a fifth of the time that a server spends on a round.
      _ = mallopt(M_TRIM_THRESHOLD, 1 << 20)
      // Each arena keeps holes of its own, and the usual number is eight for each core.
      _ = mallopt(M_ARENA_MAX, 2)
    #endif
  }
}
