import ArgumentParser

extension CompletionKind {
  /// A plan's file.
  package static var plan: CompletionKind { .file(extensions: ["yaml", "yml"]) }
}
