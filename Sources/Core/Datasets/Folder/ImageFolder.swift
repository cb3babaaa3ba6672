import Engine

/// A folder of JPEG and PNG files whose headers have been read: what is there, before any of it is decoded.
package struct ImageFolder: Sendable {
  /// Where an image's class comes from.
  package enum Labels: String, Sendable, Hashable, CaseIterable {
    /// The name of the folder at the top that it lies in.
    case folder
    /// Nowhere.
    case none
  }

  /// An image that can be used as far as its header tells.
  struct File: Sendable {
    /// From the folder on.
    let name: String
    let header: ImageHeader
    /// Of the file.
    let bytes: Int
    let label: Int

    var shape: ImageShape { header.shape }

    /// Bytes that are taken while the file is decoded for an encoder.
    func decodingBytes(for fit: ImageFit) -> Int {
      bytes + header.decodingBytes(shorterSide: fit.largestShorterSide)
    }
  }

  let root: String
  let files: [File]
  /// Nil where images have no labels.
  let classNames: [String]?
  /// Files whose headers are broken, in the order of their paths.
  let broken: [BrokenFile]

  /// Lists the folder, and reads headers until `limit` images are found.
  ///
  /// Without `labels`, folders are classes where all images lie in folders. Throws a ``DatasetError`` where there
  /// is no image, or where a class is asked of an image that lies in no folder.
  package init(_ root: String, labels: Labels? = nil, limit: Int? = nil) throws(DatasetError) {
    let listing = try FolderListing(root)
    let stray = listing.files.first { !$0.contains("/") }
    if let stray, labels == .folder {
      throw .malformed(path: "\(root)/\(stray)", problem: "lies in no folder that would name its class")
    }
    let names = labels == Labels.none || stray != nil ? nil : listing.topFolders
    let numbers = Dictionary(uniqueKeysWithValues: (names ?? []).enumerated().map { ($1, $0) })
    var files: [File] = []
    var broken = listing.broken
    for name in listing.files {
      guard files.count < limit ?? Int.max else { break }
      let folder = name.prefix { $0 != "/" }
      do {
        let (header, bytes) = try ImageFile.header("\(root)/\(name)")
        files.append(File(name: name, header: header, bytes: bytes, label: numbers[String(folder)] ?? 0))
      } catch {
        broken.append(BrokenFile(path: "\(root)/\(name)", reason: error.reason))
      }
    }
    broken.sort { $0.path < $1.path }
    guard !files.isEmpty else {
      throw .malformed(path: root, problem: BrokenFile.summary(broken) ?? "no image is taken")
    }
    (self.root, self.files, self.broken, classNames) = (root, files, broken, names)
  }

  /// The images for an encoder; `cache` bounds the memory for decoded ones, in bytes.
  package func images(for fit: ImageFit, cache: Int) -> ImageSet {
    ImageSet(
      FolderImages(self, fit, cache: ImageCache(limit: cache)),
      labels: classNames.map { _ in files.map(\.label) }, classes: classNames?.count ?? 0,
      classNames: classNames)
  }

  func path(_ index: Int) -> String { "\(root)/\(files[index].name)" }
}
