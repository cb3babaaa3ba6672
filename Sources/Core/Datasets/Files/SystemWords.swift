import Foundation

extension Error {
  /// What the system says where a file or folder cannot be used, such as `Permission denied`: Foundation's own words
  /// name neither the cause nor the file.
  package var systemWords: String {
    guard let number = Self.number(of: self as NSError) else {
      return self is CocoaError ? localizedDescription : "\(self)"
    }
    return String(cString: strerror(number))
  }

  private static func number(of error: NSError) -> Int32? {
    if error.domain == NSPOSIXErrorDomain { return Int32(exactly: error.code) }
    if let cause = error.userInfo[NSUnderlyingErrorKey] as? NSError { return number(of: cause) }
    guard error.domain == NSCocoaErrorDomain else { return nil }
    return switch CocoaError.Code(rawValue: error.code) {
    case .fileNoSuchFile, .fileReadNoSuchFile: ENOENT
    case .fileReadNoPermission, .fileWriteNoPermission: EACCES
    case .fileWriteFileExists: EEXIST
    case .fileWriteOutOfSpace: ENOSPC
    case .fileWriteVolumeReadOnly: EROFS
    case .fileReadInvalidFileName, .fileWriteInvalidFileName: ENAMETOOLONG
    default: nil
    }
  }
}
