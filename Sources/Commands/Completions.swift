import ArgumentParser

extension CompletionKind {
  /// A plan's file.
  package static var plan: CompletionKind { .file(extensions: ["yaml", "yml"]) }
  /// A server's database, and none of the files that SQLite has beside it.
  package static var database: CompletionKind { .file(extensions: ["sqlite", "sqlite3", "db"]) }
}
