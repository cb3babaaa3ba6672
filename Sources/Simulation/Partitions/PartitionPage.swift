import Pages
import Support

/// The partition of a data set as one self-contained HTML page, which is also well-formed XML.
package struct PartitionPage: Sendable {
  private let report: PartitionReport

  package init(_ report: PartitionReport) { self.report = report }

  /// The most cells of a picture; a page of more would be too large.
  private static let mostCells = 40_000
  private static let title = "Partition"

  package var html: String {
    Page.html(
      title: Self.title, style: "\n\(PageStyle.css)\n\(CountMatrixFigure.css)\n",
      body: """
        <main>
        <h1>\(Self.title)</h1>
        <p>\(Markup.escape(introduction))</p>
        \(figure)
        <section class="notes">
        \(report.summary.map { "<p>\($0.name): \(Markup.escape($0.text)).</p>" }.joined(separator: "\n"))
        </section>
        </main>
        """)
  }

  private var introduction: String {
    "\(counted(report.size, report.noun)) of \(report.data), \(counted(report.clients.count, "client")), "
      + "\(report.partition), seed \(report.seed)."
  }

  private var figure: String {
    let rows = report.clients.map { client in
      CountMatrixFigure.Row(
        name: client.name, counts: client.counts ?? [], size: client.size,
        notes: [
          client.distance.map { "distance \(Numeral.fixed($0, digits: 3))" },
          client.noise.map { "noise \(Numeral.fixed($0, digits: 3))" },
          client.edges.map { "\(counted($0, "edge"))" }, client.cutEdges.map { "\($0) cut" },
        ].compactMap { $0 }.joined(separator: ", "))
    }
    let classes = report.classNames.count * rows.count > Self.mostCells ? [] : report.classNames
    let left =
      classes.count < report.classNames.count
      ? "<p>The picture of \(report.classNames.count) classes at \(rows.count) clients is not drawn; it would have more than \(Self.mostCells) cells.</p>\n"
      : ""
    return left
      + CountMatrixFigure(
        rows, columns: classes, noun: report.noun,
        title: classes.isEmpty ? "Sizes of the clients" : "Classes by client"
      ).html
  }
}
