import Certificates
import Client
import Foundation

/// Who this client is among those of its federation, and where its own things are.
struct ClientPlace: Sendable {
  let name: String
  /// Its part of the images; nil where all are its own.
  let share: LocalShare?
  let state: URL
  /// Nil where it talks without TLS.
  let certificate: ClientCertificate?

  /// What clients share a command line for is in folders of folders: each has its own in them, under its name. Throws
  /// `CertificateError` where it cannot be told whether there is a certificate.
  init(
    name: String?, share: LocalShare?, state: String?, tls: String?, usesCertificate: Bool
  ) throws(CertificateError) {
    let stem = name ?? LocalShare.stem
    let own = share?.share.name(stem) ?? stem
    func folder(_ given: String) -> String { share == nil ? given : "\(given)/\(own)" }
    (self.name, self.share) = (own, share)
    self.state = StateFolder.url(state.map(folder), name: own)
    if let tls {
      certificate = ClientCertificate(URL(fileURLWithPath: folder(tls), isDirectory: true))
    } else {
      let found = ClientCertificate(self.state.appendingPathComponent("tls", isDirectory: true))
      certificate = usesCertificate ? (try found.exists ? found : nil) : nil
    }
  }
}
