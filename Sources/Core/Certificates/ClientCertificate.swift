import Foundation

/// The folder in which a client keeps who it is: client.crt, client.key, authority.crt.
package struct ClientCertificate: Sendable {
  private let files: KeyFiles

  package init(_ folder: URL) { files = KeyFiles(folder: folder) }

  package var path: String { files.folder.path }

  /// Whether there is anything in it. Throws ``CertificateError`` where nobody may look.
  package var exists: Bool { get throws(CertificateError) { try files.exists("client.crt") } }

  /// Writes a new key beside what is there, so that it is certain before anything is asked for that a certificate for
  /// it can be kept. Throws ``CertificateError``, which names the file.
  package func draft(_ key: PrivateKey) throws(CertificateError) {
    try files.create()
    try files.write(key.pem, to: Self.draft)
  }

  /// Removes the key that ``draft(_:)`` wrote.
  package func dropDraft() { _ = try? files.remove(Self.draft) }

  private static let draft = "client.key.new"

  /// Throws ``CertificateError``.
  package func keep(
    key: PrivateKey, certificate: Certificate, authority: Certificate
  ) throws(CertificateError) {
    try files.create()
    try files.write(key.pem, to: "client.key")
    try files.write(authority.pem, to: "authority.crt")
    // The last, by which the folder is known to be whole.
    try files.write(certificate.pem, to: "client.crt")
  }

  /// Throws ``CertificateError``, which names the file.
  package var identity: Identity {
    get throws(CertificateError) {
      try Identity(
        certificate: try CertificateFolder.read(files.url("client.crt")),
        key: try CertificateFolder.read(files.url("client.key")),
        authority: try CertificateFolder.read(files.url("authority.crt")))
    }
  }
}
