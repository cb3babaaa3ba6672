import Foundation
import Support

extension ClassificationReport {
  /// The most classes whose confusion matrix is part of ``text``: more columns would not fit on a screen.
  package static let mostColumns = 20
  /// The most characters of a class's name in ``text``.
  private static let nameLimit = 24

  /// The measures as plain text: a line each, a table of the classes, and for up to ``mostColumns`` classes
  /// the confusion matrix. Shares are in per cent, and a measure that a class does not have is a dash.
  package var text: String {
    var lines = [
      Self.line("accuracy", Self.percent(accuracy), "\(correct) of \(counted(images, "image"))"),
      Self.line("balanced accuracy", Self.percent(balancedAccuracy), ""),
      Self.line("macro-F1", Self.percent(macroF1), ""),
    ]
    if let auroc { lines.append(Self.line("AUROC", String(format: "%.3f", auroc), "")) }
    if classCount > 0 {
      lines.append(
        Self.line("majority baseline", Self.percent(majorityBaseline), "always \(name(majorityClass))"))
    }
    lines += ["", Self.table(classRows)]
    if classCount <= Self.mostColumns, classCount > 0 {
      lines += ["", "images by true class (row) and predicted class (column)", "", Self.table(confusionRows)]
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private var classRows: [[String]] {
    [["class", "images", "predicted", "precision", "recall", "F1"]]
      + classes.map { own in
        [name(own.label), "\(own.images)", "\(own.predicted)"]
          + [own.precision, own.recall, own.f1].map { $0.map(Self.percent) ?? "-" }
      }
  }

  private var confusionRows: [[String]] {
    [["class"] + confusion.indices.map(String.init)]
      + confusion.indices.map { row in [name(row)] + confusion[row].map(String.init) }
  }

  /// Returns the number of a class and its name, if it has one.
  private func name(_ label: Int) -> String {
    "\(label)" + (classNames.map { " \(ForeignText($0[label], limit: Self.nameLimit))" } ?? "")
  }

  private static func line(_ name: String, _ value: String, _ more: String) -> String {
    let line = aligned(name, 17, isLeft: true) + "  " + aligned(value, 7, isLeft: false)
    return more.isEmpty ? line : line + "  \(more)"
  }

  private static func percent(_ share: Double) -> String { String(format: "%.1f %%", 100 * share) }

  /// Returns rows as lines; the first column is aligned left and the others are aligned right.
  private static func table(_ rows: [[String]]) -> String {
    let widths = (rows.first ?? []).indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      row.indices.map { aligned(row[$0], widths[$0], isLeft: $0 == 0) }.joined(separator: "  ")
    }.joined(separator: "\n")
  }

  private static func aligned(_ text: String, _ width: Int, isLeft: Bool) -> String {
    let space = String(repeating: " ", count: max(width - text.count, 0))
    return isLeft ? text + space : space + text
  }
}
