import Foundation

extension Error {
  /// What the system says of a file or folder that it refused, in its own words and without a path: Foundation's say
  /// less, and speak of operations and domains.
  package var systemReason: String {
    if let error = self as? POSIXError { return String(cString: strerror(error.code.rawValue)) }
    let error = self as NSError
    if error.domain == NSPOSIXErrorDomain { return String(cString: strerror(Int32(error.code))) }
    if let cause = error.userInfo[NSUnderlyingErrorKey] as? any Error { return cause.systemReason }
    guard let error = self as? CocoaError else { return "\(self)" }
    return Self.number(of: error.code).map { String(cString: strerror($0)) } ?? "error \(error.code.rawValue)"
  }

  /// The number of the system's that became a code of Foundation's.
  private static func number(of code: CocoaError.Code) -> Int32? {
    switch code {
    case .fileNoSuchFile, .fileReadNoSuchFile: ENOENT
    case .fileReadNoPermission, .fileWriteNoPermission: EACCES
    case .fileWriteOutOfSpace: ENOSPC
    case .fileWriteFileExists: EEXIST
    case .fileWriteVolumeReadOnly: EROFS
    case .fileReadTooLarge: EFBIG
    case .fileReadInvalidFileName, .fileWriteInvalidFileName: EINVAL
    default: nil
    }
  }
}
