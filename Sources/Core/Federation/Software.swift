/// What this software calls itself.
package enum Software {
  /// The only place that has the version: `--version`, a client's hello and the Debian packages take it from here.
  package static let version = "0.1"
}
