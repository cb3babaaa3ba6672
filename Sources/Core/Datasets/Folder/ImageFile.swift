import Foundation

/// One image in a file of its own.
enum ImageFile {
  /// What is read to find the header; most files have it there.
  private static let headerBytes = 64 << 10
  /// No image that would be decoded has a larger file.
  private static let largestFile = 1 << 28

  /// Reads what the file says of its image, and how many bytes it has.
  static func header(_ path: FilePath) throws(ImageFault) -> (header: ImageHeader, bytes: Int) {
    let file = try open(path)
    let beginning = try bytes(of: file, headerBytes)
    do {
      return (try parse(beginning), file.size)
    } catch  where beginning.count < file.size && ImageHeader.Format(beginning) != nil {
      // A thumbnail or a profile may stand before it.
      return (try parse(try bytes(of: file, file.size)), file.size)
    }
  }

  /// Reads the image as it is kept for an encoder; `resampler` is scratch.
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
      guard file.size <= largestFile else { throw ImageFault("its \(file.size) bytes are too many") }
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

/// How much memory decoders may take side by side: whoever would take too much beside the others waits for them.
package final class DecoderMemoryLimit: Sendable {
  /// Bytes at a time. One that wants more is alone.
  package static let bytes = 64_000_000

  private let condition = NSCondition()
  nonisolated(unsafe) private var taken = 0

  /// Nobody decodes yet.
  package init() {}

  /// What so many decoders take side by side at most, of which none wants more than `largest`.
  package static func most(_ decoders: Int, largest: Int) -> Int {
    min(max(bytes, largest), largest * decoders)
  }

  /// Decodes where that takes so many bytes.
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
