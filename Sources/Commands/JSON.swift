import Engine

/// A value as `--json` prints it.
package func json(_ value: some Encodable) throws -> String {
  String(decoding: try JSON.shown(value), as: UTF8.self)
}
