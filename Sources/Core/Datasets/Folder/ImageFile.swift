import Foundation

/// Reads an image from a separate file.
enum ImageFile {
  /// The number of bytes read first; most files have their header there.
  private static let headerBytes = 64 << 10
  /// The maximum file size; no image within the pixel limits has a larger file.
  private static let largestFile = 1 << 28

  /// Reads the image's header and the file's size.
  static func header(_ path: FilePath) throws(ImageFault) -> (header: ImageHeader, bytes: Int) {
    let file = try open(path)
    let beginning = try bytes(of: file, headerBytes)
    do {
      return (try parse(beginning), file.size)
    } catch  where beginning.count < file.size && ImageHeader.Format(beginning) != nil {
      // A thumbnail or a profile may precede the header.
      return (try parse(try bytes(of: file, file.size)), file.size)
    }
  }

  /// Decodes an image and fits it to an encoder; `resampler` is scratch.
  static func decode(
    _ path: FilePath, for fit: ImageFit, _ resampler: Resampler
  ) throws(ImageFault) -> DecodedImage {
    let file = try open(path)
    let bytes = try bytes(of: file, file.size)
    let header = try parse(bytes)
    let raster: Result<Raster, ImageFault> = bytes.withUnsafeBufferPointer { buffer in
      Result { () throws(ImageFault) in
        switch header.format {
        case .jpeg:
          try JPEGDecoder.decode(
            buffer, header, shorterSide: fit.largestShorterSide, channels: fit.channels)
        case .png: try PNGDecoder.decode(buffer, header)
        }
      }
    }
    return try raster.get().withPixels { fit.apply($0.oriented(header.orientation), resampler) }
  }

  private static func open(_ path: FilePath) throws(ImageFault) -> RegularFile {
    do {
      let file = try RegularFile(path)
      guard file.size <= largestFile else {
        throw ImageFault("its size of \(file.size) bytes is over the limit")
      }
      return file
    } catch let error as DatasetError {
      throw ImageFault(error.problem)
    } catch let fault as ImageFault {
      throw fault
    } catch {
      throw ImageFault("\(error)")
    }
  }

  private static func bytes(of file: RegularFile, _ count: Int) throws(ImageFault) -> [UInt8] {
    do {
      return try file.bytes(count: count)
    } catch {
      throw ImageFault(error.problem)
    }
  }

  private static func parse(_ bytes: [UInt8]) throws(ImageFault) -> ImageHeader {
    let header: Result<ImageHeader, ImageFault> = bytes.withUnsafeBufferPointer { buffer in
      Result { () throws(ImageFault) in try ImageHeader(reading: buffer) }
    }
    return try header.get()
  }
}

/// Limits the memory of concurrent decoders; a decoder that would exceed the limit waits.
package final class DecoderMemoryLimit: Sendable {
  /// The limit in bytes. A decoder that needs more runs without others.
  package static let bytes = 64_000_000

  private let condition = NSCondition()
  nonisolated(unsafe) private var taken = 0

  /// Creates a limit without running decoders.
  package init() {}

  /// Returns the maximum memory of `decoders` concurrent decoders that take at most `largest` bytes each.
  package static func most(_ decoders: Int, largest: Int) -> Int {
    min(max(bytes, largest), largest * decoders)
  }

  /// Runs a decoder that takes `bytes` bytes.
  package func with<Result, Failure: Error>(
    _ bytes: Int, _ decode: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    condition.withLock {
      while taken > 0 && taken + bytes > Self.bytes { condition.wait() }
      taken += bytes
    }
    defer {
      condition.withLock {
        taken -= bytes
        condition.broadcast()
      }
    }
    return try decode()
  }
}
