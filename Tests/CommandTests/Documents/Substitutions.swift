import Foundation
import TestSupport
import Wire

/// The only table of replacements for commands in documents that must differ on this machine. Everything else runs as
/// shown.
struct Substitutions: Sendable {
  /// The folder of a document's run, which is the home of its reader.
  let folder: URL
  /// An address of this machine that no other run uses, so that all ports are free.
  let host = Endpoint.ownHost()

  /// Returns regular expressions, their replacements and the reasons. `code` is the last enrolment code printed.
  func table(code: String) -> [(pattern: String, replacement: String, reason: String)] {
    [
      (
        #"\bcoordinator(\.example)?\b|0\.0\.0\.0|127\.0\.0\.1|192\.0\.2\.10"#, host,
        "all machines are this one"
      ),
      (#"(?<![\w.])/(etc|srv|var)/"#, "\(folder.path)/$1/", "the machine's folders are the run's"),
      (#"\bDIR\b"#, "\(folder.path)/srv/cifar-10", "where somebody has CIFAR-10"),
      (#"\bCODE\b"#, code, "what fedserver enroll has printed"),
      (#"^sudo "#, "", "the run's folders belong to whoever runs it"),
      (#"^scp -r (\S+) \S+:$"#, "cp -r $1 .", "the device's home is this one, too"),
      (#"\b(shapes:|limit=|sbm:)\d+"#, "$164", "sizes: as few images or nodes as make a batch"),
      (#"--bytes \d+"#, "--bytes 20000", "sizes: an update of a few weights"),
      (#"--seeds 7,8,9"#, "--seeds 7", "sizes: one seed"),
      (#"^fedsim search-controller "#, "fedsim search-controller --episodes 4 ", "sizes: few episodes"),
    ]
  }

  func applied(to text: String, code: String = "") -> String {
    table(code: code).reduce(text) { text, rule in
      text.replacingOccurrences(of: rule.pattern, with: rule.replacement, options: .regularExpression)
    }
  }
}
