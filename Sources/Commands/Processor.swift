import Foundation

/// Whether this machine can run this build. The check is in a module that needs nothing special itself.
enum Processor {
  #if STRATA_X86_64_V3
    private static let needed: Set<Substring> = ["avx2", "fma", "bmi2"]
  #else
    private static let needed: Set<Substring> = []
  #endif

  /// What the build needs and the first processor lacks; empty where the kernel does not tell.
  static var missing: [String] {
    guard !needed.isEmpty, let info = try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8),
      let line = info.split(separator: "\n").first(where: { $0.hasPrefix("flags") })
    else { return [] }
    return needed.subtracting(line.split(separator: " ")).sorted().map { String($0) }
  }
}
