#if canImport(Glibc)
  import CGlibc
#endif

/// The priority that a process was started with.
package enum Priority {
  /// Gives up the right to be less nice than that, which root has, for the calling thread and all that it starts. Where
  /// it may, Dispatch gives each of its threads a niceness of its own, whatever `nice` has been told.
  package static func keepInherited() {
    #if canImport(Glibc)
      var header = __user_cap_header_struct(version: 0x2008_0522, pid: 0)
      var sets = [__user_cap_data_struct(), __user_cap_data_struct()]
      // A kernel without capabilities has no such right to give up.
      guard capget(&header, &sets) == 0 else { return }
      // Permitted it stays: a thread that a library has begun before could not be made nicer by one that has less.
      sets[0].effective &= ~(1 << UInt32(CAP_SYS_NICE))
      _ = capset(&header, &sets)
    #endif
  }
}
