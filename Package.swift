// swift-tools-version:6.1
// The targets enforce the direction of imports:
// Support -> Engine -> Datasets -> Federation -> Export; Federation, Certificates -> Wire -> Server, Client -> Watch,
// Simulation -> the commands.
import PackageDescription

let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .unsafeFlags(["-warnings-as-errors"]),
]

// The engine's loops need AVX2 and FMA, which x86-64 machines have since 2015; the commands check for them first. For
// an older CPU, build with STRATA_BASELINE=1 in the environment. On arm64 the baseline is sufficient.
#if arch(x86_64)
  let isBaseline = Context.environment["STRATA_BASELINE"] == "1"
  let vectorFlags: [SwiftSetting] = isBaseline ? [] : [.unsafeFlags(["-Xcc", "-march=x86-64-v3"])]
  let vectorDefines: [SwiftSetting] = isBaseline ? [] : [.define("STRATA_FMA"), .define("STRATA_X86_64_V3")]
#else
  let vectorFlags: [SwiftSetting] = []
  let vectorDefines: [SwiftSetting] = [.define("STRATA_FMA")]
#endif

let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let sqlite: Target.Dependency = .product(name: "GRDBSQLite", package: "GRDB.swift")
let sockets: Target.Dependency = .product(name: "FlyingSocks", package: "FlyingFox")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let signals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")

func library(
  _ name: String, in path: String, _ dependencies: [Target.Dependency], vectorised: Bool = false
) -> Target {
  .target(
    name: name, dependencies: dependencies, path: path,
    swiftSettings: settings + vectorDefines + (vectorised ? vectorFlags : []))
}

func command(_ name: String, _ dependencies: [Target.Dependency], embedding files: [String] = []) -> Target {
  .executableTarget(
    name: name, dependencies: dependencies + [arguments],
    path: "Sources/\(name)", resources: files.map { .embedInCode($0) }, swiftSettings: settings)
}

func tests(_ module: String, _ more: [Target.Dependency] = []) -> Target {
  .testTarget(
    name: "\(module)Tests", dependencies: [.target(name: module), "TestSupport"] + more,
    path: "Tests/\(module)Tests", swiftSettings: settings)
}

let package = Package(
  name: "Strata",
  products: [
    .executable(name: "fedserver", targets: ["fedserver"]),
    .executable(name: "fedclient", targets: ["fedclient"]),
    .executable(name: "fedsim", targets: ["fedsim"]),
  ],
  dependencies: [
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/swhitty/FlyingFox", from: "0.27.1"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    .systemLibrary(
      name: "COpenBLAS", path: "Sources/COpenBLAS", pkgConfig: "openblas",
      providers: [.apt(["libopenblas-dev"])]),
    .systemLibrary(
      name: "CSSL", path: "Sources/CSSL", pkgConfig: "openssl",
      providers: [.apt(["libssl-dev"])]),
    // zlib's formats for checksums and coded layers, several times faster than zlib if all data is in memory.
    .systemLibrary(
      name: "CDeflate", path: "Sources/CDeflate", pkgConfig: "libdeflate",
      providers: [.apt(["libdeflate-dev"])]),
    .systemLibrary(
      name: "CZlib", path: "Sources/CZlib", pkgConfig: "zlib",
      providers: [.apt(["zlib1g-dev"])]),
    // libjpeg and libpng report errors by longjmp, which must not cross Swift frames: these C functions return them.
    // They need libjpeg-dev and libpng-dev.
    .target(name: "CJPEG", path: "Sources/CJPEG", linkerSettings: [.linkedLibrary("jpeg")]),
    .target(name: "CPNG", path: "Sources/CPNG", linkerSettings: [.linkedLibrary("png")]),
    // The other API of libjpeg-turbo, with which tests write JPEGs.
    .systemLibrary(
      name: "CTurboJPEG", path: "Tests/CTurboJPEG", pkgConfig: "libturbojpeg",
      providers: [.apt(["libturbojpeg0-dev"])]),

    // Parts of glibc that its Swift overlay lacks, such as the allocator's settings and capabilities.
    .systemLibrary(name: "CGlibc", path: "Sources/CGlibc"),

    library("Support", in: "Sources/Core/Support", []),
    library("Engine", in: "Sources/Core/Engine", ["Support", "COpenBLAS"], vectorised: true),
    library(
      "Datasets", in: "Sources/Core/Datasets", ["Support", "Engine", "CJPEG", "CPNG", "CZlib"],
      vectorised: true),
    library(
      "Federation", in: "Sources/Core/Federation",
      ["Support", "Engine", "Datasets", "CSSL", "CDeflate", yams]),
    library("Export", in: "Sources/Core/Export", ["Support", "Engine", "Federation"]),
    library("Certificates", in: "Sources/Core/Certificates", ["Support", "CSSL"]),
    library(
      "Wire", in: "Sources/Core/Wire",
      ["Support", "Federation", "Certificates", "CSSL", sockets]),
    library("Server", in: "Sources/Server", ["Support", "Wire", "Certificates", "Datasets", grdb, sqlite]),
    library("Client", in: "Sources/Client", ["Support", "Wire", "Certificates", "Datasets"]),
    library("Pages", in: "Sources/Pages", ["Support"]),
    library("Watch", in: "Sources/Watch", ["Support", "Server", "Wire", "Pages"]),
    library("Simulation", in: "Sources/Simulation", ["Support", "Server", "Client", "Pages", grdb]),

    library(
      "Commands", in: "Sources/Commands",
      ["Support", "Wire", "Datasets", "CGlibc", "CSSL", arguments, logging, signals]),
    // The files that 'fedserver init' writes, as links to deploy.
    command(
      "fedserver",
      ["Support", "Commands", "Server", "Watch", "Pages", "Certificates", "Datasets", "Export"],
      embedding: [
        "fedserver.service", "fedserver.default", "fedclient.service", "fedclient.default", "first.yaml",
        "first-steps.md",
      ].map { "Deployment/\($0)" }),
    command("fedclient", ["Support", "Commands", "Client", "Certificates"]),
    command("fedsim", ["Support", "Commands", "Server", "Simulation"]),

    // The time limits of tests.
    library("TestSupport", in: "Tests/TestSupport", ["Wire"]),
    tests("Support"),
    tests("Engine"),
    // Writes image files of all supported formats for tests.
    library("DataFiles", in: "Tests/DataFiles", ["Engine", "CTurboJPEG", "CPNG", "CZlib"]),
    tests("Datasets", ["DataFiles", "CTurboJPEG"]),
    tests("Federation"),
    tests("Export"),
    tests("Certificates"),
    tests("Wire", ["Certificates"]),
    tests("Server", ["Certificates", grdb]),
    tests("Watch", ["PageChecks", "Federation", "Server", "Wire", grdb]),
    tests("Client", ["Certificates", "DataFiles"]),
    library("PageChecks", in: "Tests/PageChecks", ["Wire"]),
    tests("Pages", ["PageChecks"]),
    tests("Simulation", ["fedsim", "PageChecks"]),
    // The examples of docs/extending.md, which use only what other modules may.
    .testTarget(
      name: "ExtendingTests", dependencies: ["Engine", "Federation", "TestSupport"],
      path: "Tests/ExtendingTests", swiftSettings: settings),
    .testTarget(
      name: "CommandTests",
      dependencies: [
        "fedserver", "fedclient", "fedsim", "Federation", "Commands", "Export", "Wire", "PageChecks",
        "DataFiles", "TestSupport", yams, grdb,
      ],
      path: "Tests/CommandTests", swiftSettings: settings),
  ]
)
