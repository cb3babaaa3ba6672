import Datasets
import Testing

@Suite struct DataSpecTests {
  @Test func optionsAreUnderstood() throws {
    let spec = try DataSpec(parsing: "shapes:1000?size=16&seed=7&channels=1&limit=50")
    #expect(spec.source == .shapes(count: 1000, size: 16, channels: 1, seed: 7))
    #expect(spec.limit == 50)
    #expect(spec.description == "shapes:1000?size=16&seed=7&channels=1&limit=50")
    #expect(try DataSpec(parsing: "cifar10:/data/a:b").source == .cifar10(directory: "/data/a:b"))
    let folder = try DataSpec(parsing: "folder:/data?labels=none&cache=2MiB&shuffle=3")
    #expect(folder.source == .folder(path: "/data", labels: ImageFolder.Labels.none, cache: 2 << 20))
    #expect(folder.shuffle == 3)
    #expect(
      try DataSpec(parsing: "npz:a.npz?split=val&labels=none").source
        == .npz(path: "a.npz", split: .val, images: nil, labels: "none"))
    #expect(
      try DataSpec(parsing: "idx:x.gz?labels=y.gz").source == .idx(path: "x.gz", labels: "y.gz"))
  }

  /// A specification can contain any file name.
  @Test func marksAreWrittenTwice() throws {
    func path(_ text: String) throws -> DataSpec.Source { try DataSpec(parsing: text).source }
    #expect(try path("cifar10:/what??/x") == .cifar10(directory: "/what?/x"))
    #expect(try path("cifar10:/a&b??????limit=3") == .cifar10(directory: "/a&b???limit=3"))
    #expect(try path("cifar10:/what???limit=3") == .cifar10(directory: "/what?"))
    #expect(try path("cifar10:\u{301}?limit=3") == .cifar10(directory: "\u{301}"))
    #expect(try path("npy:a?labels=\u{301}") == .npy(path: "a", labels: "\u{301}"))
    #expect(try path("npy:a.npy?labels=/x?y&&z&limit=3") == .npy(path: "a.npy", labels: "/x?y&z"))
    let error = #expect(throws: DatasetError.self) { try path("folder:/what?/cat") }
    #expect(error?.description.contains("a ? in a file's name is written ??") == true)
  }

  @Test func otherNumbersOfClassesAreAskedFor() throws {
    #expect(try DataSpec(parsing: "cifar10:d?classes=20").source == .cifar10(directory: "d", classes: 20))
    #expect(throws: DatasetError.self) { try DataSpec(parsing: "cifar10:d?classes=257") }
    #expect(throws: DatasetError.self) { try DataSpec(parsing: "cifar100:d?classes=20") }
  }

  @Test(arguments: [
    ("shapes", "KIND:ARGUMENT"), ("", "KIND:ARGUMENT"), ("mnist:x", "unknown kind 'mnist'"),
    ("shapes:", "nothing after"), ("shapes:ten", "COUNT 'ten'"), ("shapes:0", "COUNT '0'"),
    ("shapes:10?size", "option 'size'"), ("shapes:10?size=4", "size '4'"),
    ("shapes:10?channels=2", "except 2"), ("shapes:10?seed=-1", "seed '-1'"),
    ("shapes:10?limit=0", "limit '0'"), ("shapes:10?skip=-1", "skip '-1'"),
    ("shapes:10?colour=red", "unknown option 'colour'"),
    ("shapes:10?size=16&size=32", "given twice"), ("cifar10:d?size=32", "unknown option 'size'"),
    ("shapes:10?", "option ''"), ("foldr:x", "unknown kind 'foldr'; did you mean folder?"),
    ("folder:x?cahce=1MB", "which has cache, labels, limit, shuffle, skip; did you mean cache?"),
    ("folder:x?cache=1", "cache '1'"), ("folder:x?labels=", "nothing after 'labels='"),
    ("folder:x?labels=nine", "labels 'nine' is not one of folder, none; did you mean none?"),
    ("npz:x?split=vall", "not one of train, val, test; did you mean val?"),
    ("stl10:x?split=unlabeled", "did you mean unlabelled?"), ("cifar100:x?labels=both", "fine, coarse"),
    ("shapes:10?shuffle=-1", "shuffle '-1'"),
  ])
  func whatIsWrongIsSaidInOneLineWithWhatIsAccepted(text: String, problem: String) {
    let error = #expect(throws: DatasetError.self) { try DataSpec(parsing: text) }
    let description = error?.description ?? ""
    #expect(description.contains(problem), "\(description)")
    #expect(description.contains("accepted: cifar10:DIRECTORY, cifar100:DIRECTORY"))
    #expect(!description.contains("\n"))
  }

  @Test func theEncodersSizeIsTheDefaultOfTheGenerator() throws {
    let open = try DataSpec(parsing: "shapes:20?limit=5").load(
      role: .test, for: ImageFit(size: 16, channels: 1))
    #expect(open.count == 5 && open.size == 16 && open.channels == 1)
    let own = try DataSpec(parsing: "shapes:20?size=24&channels=3").load(
      role: .test, for: ImageFit(size: 16, channels: 1))
    #expect(own.count == 20 && own.size == 24 && own.channels == 1)
    let bare = try DataSpec(parsing: "shapes:2").load(role: .train)
    #expect(bare.size == 32 && bare.channels == 3)
  }

  @Test func skipsWhatBelongsToSomebodyElse() throws {
    let all = try DataSpec(parsing: "shapes:20").load(role: .train)
    let rest = try DataSpec(parsing: "shapes:20?skip=5&limit=7").load(role: .train)
    #expect(rest.count == 7)
    #expect(rest.labels == all.labels.map { Array($0[5..<12]) })
    #expect(throws: DatasetError.self) { try DataSpec(parsing: "shapes:20?skip=20").load(role: .train) }
  }
}
