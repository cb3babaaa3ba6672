import Foundation
import TestSupport
import Testing

/// The readers of documents detect errors.
@Suite(.unhurried) struct DocumentReadingTests {
  @Test func aBlockIsReadAsAShellReadsIt() {
    let block = """
      # a comment
      fedsim run plan.yaml \\
        --data 'shapes:64?seed=1'  # another
      cat > plan.yaml <<'EOF'
      fedserver run

      EOF
      sudo fedserver enroll "device 1" --tls tls && cp a b | tee c; umask 077
      """
    let statements = ShellBlock.statements(block, after: 10)
    #expect(statements.map(\.line) == [12, 14, 18])
    #expect(statements[0].commands == [["fedsim", "run", "plan.yaml", "--data", "shapes:64?seed=1"]])
    #expect(statements[1].commands == [["cat"]], "what a file is to hold is no command")
    #expect(
      statements[2].commands == [
        ["fedserver", "enroll", "device 1", "--tls", "tls"], ["cp", "a", "b"], ["tee", "c"],
        ["umask", "077"],
      ])
  }

  @Test(arguments: [
    ("fedserver run plan.yaml --databases x", "--databases"), ("fedserver run --database x", "<plan>"),
    ("fedserver run plan.yaml", "--database"), ("fedserver run a b --database x", "plain arguments"),
    ("fedserver dance", "dance"), ("fedserver certificate", "subcommand"),
    ("fedclient run --server", "value"),
  ])
  func aCommandThatIsNoneIsNoticed(line: String, words: String) async throws {
    let problem = try await CommandTree().problem(with: line.split(separator: " ").map(String.init))
    #expect(problem?.contains(words) == true, "\(problem ?? "nothing")")
  }

  @Test func aPartOfACommandMayLackWhatItNeeds() async throws {
    let tree = try await CommandTree()
    #expect(tree.problem(with: ["fedserver", "run", "…", "--http"], isPart: true) == nil)
    #expect(tree.problem(with: ["fedserver", "run", "…", "--htp"], isPart: true) != nil)
  }

  @Test func aDocumentIsReadInItsOrder() throws {
    let document = try Markdown(
      "made.md",
      text: """
        ## One
        `fedsim check` and [a page](data.md#classes)

          ```sh
          a
          ```
        <!-- await fedserver: the job is done -->
        ## Two
        ```text
        `no span` [no](link)
        ```
        """)
    #expect(document.parts.map(\.section) == ["One", "One", "Two"])
    #expect(document.blocks.map(\.language) == ["sh", "text"] && document.blocks.map(\.line) == [4, 9])
    #expect(document.spans.map(\.text) == ["fedsim check"])
    #expect(document.links.map(\.text) == ["data.md#classes"])
    guard case .direction(let direction) = document.parts[1] else { throw Unexpected() }
    #expect((direction.verb, direction.daemon, direction.words) == ("await", "fedserver", "the job is done"))
    #expect(throws: Markdown.OpenFence.self) { try Markdown("open.md", text: "```sh\na") }
  }

  private struct Unexpected: Error {}
}
