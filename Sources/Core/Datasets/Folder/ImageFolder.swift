import Engine

/// A folder of JPEG and PNG files whose headers have been read; nothing is decoded yet.
package struct ImageFolder: Sendable {
  /// The source of an image's class.
  package enum Labels: String, Sendable, Hashable, CaseIterable {
    /// The name of the top-level folder that contains the image.
    case folder
    /// No classes.
    case none
  }

  /// An image with a valid header.
  struct File: Sendable {
    /// The path relative to the folder.
    let name: FilePath
    let header: ImageHeader
    /// The size of the file.
    let bytes: Int
    let label: Int

    var shape: ImageShape { header.shape }

    /// Returns the number of bytes that decoding takes for an encoder.
    func decodingBytes(for fit: ImageFit) -> Int {
      bytes + header.decodingBytes(shorterSide: fit.largestShorterSide)
    }
  }

  let root: FilePath
  let files: [File]
  /// The names of the classes; nil if images have no labels.
  let classNames: [String]?
  /// Files with broken headers, ordered by path.
  let broken: [BrokenFile]
  /// Files whose names are not those of images.
  let passedOver: PassedOver

  /// Lists the folder, and reads headers until `limit` images are found.
  ///
  /// Without `labels`, folders are classes if all images lie in folders. Throws a ``DatasetError`` if there is no
  /// image, or if classes are requested and an image lies in no folder.
  package init(_ root: String, labels: Labels? = nil, limit: Int? = nil) throws(DatasetError) {
    let listing = try FolderListing(root)
    let stray = listing.files.first { $0.topFolder == nil }
    if let stray, labels == .folder {
      throw .malformed(path: "\(root)/\(stray)", problem: "is not in a folder that names its class")
    }
    let names = labels == Labels.none || stray != nil ? nil : listing.topFolders
    // Folders are distinguished by their bytes; two names that look alike are two classes.
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

  /// Returns the images for an encoder; `cache` limits the memory for decoded images, in bytes.
  package func images(for fit: ImageFit, cache: Int) -> ImageSet {
    ImageSet(
      FolderImages(self, fit, cache: ImageCache(limit: cache)),
      labels: classNames.map { _ in files.map(\.label) }, classes: classNames?.count ?? 0,
      classNames: classNames)
  }

  func path(_ index: Int) -> FilePath { root.appending(files[index].name) }
}
