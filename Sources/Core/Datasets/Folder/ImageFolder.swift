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
    let name: FilePath
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

  let root: FilePath
  let files: [File]
  /// Nil where images have no labels.
  let classNames: [String]?
  /// Files whose headers are broken, in the order of their paths.
  let broken: [BrokenFile]
  /// Files that are not called as images are.
  let passedOver: PassedOver

  /// Lists the folder, and reads headers until `limit` images are found.
  ///
  /// Without `labels`, folders are classes where all images lie in folders. Throws a ``DatasetError`` where there
  /// is no image, or where a class is asked of an image that lies in no folder.
  package init(_ root: String, labels: Labels? = nil, limit: Int? = nil) throws(DatasetError) {
    let listing = try FolderListing(root)
    let stray = listing.files.first { $0.topFolder == nil }
    if let stray, labels == .folder {
      throw .malformed(path: "\(root)/\(stray)", problem: "lies in no folder that would name its class")
    }
    let names = labels == Labels.none || stray != nil ? nil : listing.topFolders
    // A folder is told from others by its bytes: of two that look alike each is a class.
    let numbers = Dictionary(uniqueKeysWithValues: (names ?? []).enumerated().map { ($1, $0) })
    let place = FilePath(root)
    var files: [File] = []
    var broken = listing.broken
    for name in listing.files {
      guard files.count < limit ?? Int.max else { break }
      do {
        let (header, bytes) = try ImageFile.header(place.appending(name))
        let label = name.topFolder.flatMap { numbers[$0] } ?? 0
        files.append(File(name: name, header: header, bytes: bytes, label: label))
      } catch {
        broken.append(BrokenFile(path: place.appending(name).description, reason: error.reason))
      }
    }
    broken.sort()
    guard !files.isEmpty else {
      throw .malformed(path: root, problem: BrokenFile.summary(broken) ?? "no image is taken")
    }
    (self.root, self.files, self.broken) = (place, files, broken)
    (classNames, passedOver) = (names?.map(\.description), listing.passedOver)
  }

  /// The images for an encoder; `cache` bounds the memory for decoded ones, in bytes.
  package func images(for fit: ImageFit, cache: Int) -> ImageSet {
    ImageSet(
      FolderImages(self, fit, cache: ImageCache(limit: cache)),
      labels: classNames.map { _ in files.map(\.label) }, classes: classNames?.count ?? 0,
      classNames: classNames)
  }

  func path(_ index: Int) -> FilePath { root.appending(files[index].name) }
}
