/// The version of this software.
package enum Software {
  /// The version, defined only here; used by `--version`, a client's hello and the Debian packages.
  package static let version = "0.1"
}
