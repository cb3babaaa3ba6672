/// The measures of a classification of N images into C classes.
///
/// All measures but the AUROC follow from the confusion matrix. The definitions are those of scikit-learn:
/// `accuracy_score`, `balanced_accuracy_score`, `f1_score` with `average="macro"`, and `roc_auc_score`.
package struct ClassificationReport: Sendable, Hashable {
  /// The number of images by true class (row) and predicted class (column), [C, C].
  package let confusion: [[Int]]
  /// The names of the classes, [C]; nil if classes have only numbers.
  package let classNames: [String]?
  /// The area under the ROC curve of class 1 against class 0, 0 … 1: the probability that an image of class 1
  /// has a higher score than one of class 0, where equal scores count half (Hanley and McNeil 1982). Nil
  /// unless there are two classes, images of both, and a score that is a number for each.
  package let auroc: Double?

  /// Counts the true labels [N] and the predicted labels [N], both in 0 ..< `classes`. `scores` [N] is the
  /// probability of class 1, or another number that grows with it, and matters if there are two classes.
  package init(
    labels: [Int], predictions: [Int], classes: Int, scores: [Float]? = nil, classNames: [String]? = nil
  ) {
    precondition(
      labels.count == predictions.count, "\(labels.count) labels, \(predictions.count) predictions")
    precondition(
      (labels + predictions).allSatisfy { (0..<classes).contains($0) }, "a label beyond \(classes) classes")
    precondition(
      scores.map { $0.count == labels.count } ?? true, "\(scores?.count ?? 0) scores, \(labels.count) labels")
    precondition(
      classNames.map { $0.count == classes } ?? true,
      "\(classNames?.count ?? 0) names of \(classes) classes")
    var confusion = [[Int]](repeating: [Int](repeating: 0, count: classes), count: classes)
    for (label, prediction) in zip(labels, predictions) { confusion[label][prediction] += 1 }
    (self.confusion, self.classNames) = (confusion, classNames)
    auroc = classes == 2 ? scores.flatMap { Self.auroc(labels: labels, scores: $0) } : nil
  }

  /// Counts the true labels [N] and the predicted labels [N]. Without predictions, the class of the greatest
  /// of the probabilities [N, C] is predicted; of equal ones, the lower class.
  package init(
    labels: [Int], predictions: [Int]? = nil, probabilities: Matrix, classNames: [String]? = nil
  ) {
    precondition(
      probabilities.rows == labels.count, "\(probabilities.rows) rows, \(labels.count) labels")
    self.init(
      labels: labels, predictions: predictions ?? Self.mostProbable(probabilities),
      classes: probabilities.columns,
      scores: probabilities.columns == 2 ? (0..<probabilities.rows).map { probabilities[$0, 1] } : nil,
      classNames: classNames)
  }

  /// A nonzero element of a confusion matrix.
  package struct Cell: Sendable, Hashable {
    package let label, predicted, count: Int

    package init(label: Int, predicted: Int, count: Int) {
      (self.label, self.predicted, self.count) = (label, predicted, count)
    }
  }

  /// The nonzero elements of ``confusion``, row by row.
  package var cells: [Cell] {
    confusion.indices.flatMap { row in
      confusion[row].indices.filter { confusion[row][$0] != 0 }.map {
        Cell(label: row, predicted: $0, count: confusion[row][$0])
      }
    }
  }

  /// Restores a report from stored cells. Returns nil if a cell is not one of `classes` classes or occurs twice, if
  /// the counts are not those of images, or if the other values do not fit.
  package init?(cells: [Cell], classes: Int, auroc: Double? = nil, classNames: [String]? = nil) {
    guard auroc.map({ (0...1).contains($0) && classes == 2 }) ?? true,
      classNames.map({ $0.count == classes }) ?? true
    else { return nil }
    var confusion = [[Int]](repeating: [Int](repeating: 0, count: classes), count: classes)
    for cell in cells {
      guard confusion.indices.contains(cell.label), confusion.indices.contains(cell.predicted),
        (0..<Self.mostImages).contains(cell.count), confusion[cell.label][cell.predicted] == 0
      else { return nil }
      confusion[cell.label][cell.predicted] = cell.count
    }
    guard cells.reduce(0.0, { $0 + Double($1.count) }) < Double(Self.mostImages) else { return nil }
    (self.confusion, self.classNames, self.auroc) = (confusion, classNames, auroc)
  }

  /// More images than there are. The F1 needs twice the sum of a row and a column.
  private static let mostImages = 1_000_000_000_000_000

  /// C.
  package var classCount: Int { confusion.count }
  /// N.
  package var images: Int { confusion.reduce(0) { $0 + $1.reduce(0, +) } }
  /// The number of images whose class is predicted.
  package var correct: Int { confusion.indices.reduce(0) { $0 + confusion[$1][$1] } }

  /// The share of images whose class is predicted, 0 … 1; 0 without images, like all averages of this type.
  package var accuracy: Double { Self.share(correct, of: images) ?? 0 }

  /// The mean recall of the classes that occur among the true labels, 0 … 1.
  package var balancedAccuracy: Double { Self.mean(classes.compactMap(\.recall)) }

  /// The mean F1 of the classes that occur among the true or the predicted labels, 0 … 1 (arXiv 1911.03347,
  /// "averaged F1").
  package var macroF1: Double { Self.mean(classes.compactMap(\.f1)) }

  /// The most frequent true class; of equally frequent ones, the lowest.
  package var majorityClass: Int {
    let counts = confusion.map { $0.reduce(0, +) }
    return counts.indices.max { (counts[$0], $1) < (counts[$1], $0) } ?? 0
  }

  /// The accuracy of a classifier that always predicts ``majorityClass``, 0 … 1.
  package var majorityBaseline: Double {
    Self.share(confusion.isEmpty ? 0 : confusion[majorityClass].reduce(0, +), of: images) ?? 0
  }

  /// The measures of each class, [C].
  package var classes: [ClassMeasures] {
    confusion.indices.map { index in
      ClassMeasures(
        label: index, name: classNames?[index], images: confusion[index].reduce(0, +),
        predicted: confusion.reduce(0) { $0 + $1[index] }, correct: confusion[index][index])
    }
  }

  /// The measures of one class.
  package struct ClassMeasures: Sendable, Hashable {
    /// The class, from 0.
    package let label: Int
    /// Its name, if it has one.
    package let name: String?
    /// The number of images of the class.
    package let images: Int
    /// The number of images for which the class is predicted.
    package let predicted: Int
    /// The number of images of the class for which it is predicted.
    package let correct: Int

    /// ``correct`` / ``predicted``; nil if the class is never predicted.
    package var precision: Double? { ClassificationReport.share(correct, of: predicted) }
    /// ``correct`` / ``images``; nil if the class does not occur.
    package var recall: Double? { ClassificationReport.share(correct, of: images) }
    /// The harmonic mean of precision and recall, 2 ``correct`` / (``images`` + ``predicted``); nil if the
    /// class neither occurs nor is predicted.
    package var f1: Double? { ClassificationReport.share(2 * correct, of: images + predicted) }
  }

  private static func share(_ part: Int, of whole: Int) -> Double? {
    whole > 0 ? Double(part) / Double(whole) : nil
  }

  private static func mean(_ values: [Double]) -> Double {
    values.isEmpty ? 0 : values.reduce(0, +) / Double(values.count)
  }

  private static func mostProbable(_ probabilities: Matrix) -> [Int] {
    (0..<probabilities.rows).map { row in
      (1..<max(probabilities.columns, 1)).reduce(0) {
        probabilities[row, $1] > probabilities[row, $0] ? $1 : $0
      }
    }
  }

  /// Returns the area under the curve from labels [N] of 0 and 1; nil if one of them is missing or a score is
  /// not a number.
  private static func auroc(labels: [Int], scores: [Float]) -> Double? {
    let positives = labels.count { $0 == 1 }
    let negatives = labels.count - positives
    guard positives > 0, negatives > 0, !scores.contains(where: \.isNaN) else { return nil }
    let order = scores.indices.sorted { scores[$0] < scores[$1] }
    // Twice the number of pairs in the right order, as a whole number: a tie counts 1.
    var (pairs, below, first) = (0, 0, 0)
    while first < order.count {
      let last = order[first...].firstIndex { scores[$0] != scores[order[first]] } ?? order.count
      let tied = order[first..<last].count { labels[$0] == 1 }
      pairs += tied * (2 * below + (last - first - tied))
      below += last - first - tied
      first = last
    }
    return Double(pairs) / Double(2 * positives * negatives)
  }
}

extension ClassificationReport: Codable {
  /// The keys of the JSON. Besides the counts, it has the measures that follow from them.
  private enum Key: String, CodingKey {
    case images, accuracy, balancedAccuracy, macroF1, auroc, majorityClass, majorityBaseline, classes
    case classNames, confusion
  }

  package func encode(to encoder: any Swift.Encoder) throws {
    var values = encoder.container(keyedBy: Key.self)
    try values.encode(images, forKey: .images)
    try values.encode(accuracy, forKey: .accuracy)
    try values.encode(balancedAccuracy, forKey: .balancedAccuracy)
    try values.encode(macroF1, forKey: .macroF1)
    try values.encodeIfPresent(auroc, forKey: .auroc)
    try values.encode(majorityClass, forKey: .majorityClass)
    try values.encode(majorityBaseline, forKey: .majorityBaseline)
    try values.encode(classes, forKey: .classes)
    try values.encodeIfPresent(classNames, forKey: .classNames)
    try values.encode(confusion, forKey: .confusion)
  }

  /// Reads the confusion matrix, the names and the AUROC, and derives the rest. Throws `DecodingError` if the
  /// matrix is not a square one of counts, or if another value does not fit.
  package init(from decoder: any Swift.Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    confusion = try values.decode([[Int]].self, forKey: .confusion)
    classNames = try values.decodeIfPresent([String].self, forKey: .classNames)
    auroc = try values.decodeIfPresent(Double.self, forKey: .auroc)
    let classes = confusion.count
    func require(_ condition: Bool, _ key: Key, _ problem: String) throws {
      guard !condition else { return }
      throw DecodingError.dataCorruptedError(forKey: key, in: values, debugDescription: problem)
    }
    try require(
      confusion.allSatisfy { $0.count == classes && $0.allSatisfy { $0 >= 0 } }, .confusion,
      "must be a square matrix of counts")
    let sum = confusion.joined().reduce(0.0) { $0 + Double($1) }
    try require(sum < Double(Self.mostImages), .confusion, "counts more images than there are")
    try require(classNames.map { $0.count == classes } ?? true, .classNames, "must name \(classes) classes")
    try require(auroc.map { (0...1).contains($0) && classes == 2 } ?? true, .auroc, "must be 0 … 1")
  }
}

extension ClassificationReport.ClassMeasures: Encodable {
  private enum Key: String, CodingKey {
    case label, name, images, predicted, correct, precision, recall, f1
  }

  package func encode(to encoder: any Swift.Encoder) throws {
    var values = encoder.container(keyedBy: Key.self)
    try values.encode(label, forKey: .label)
    try values.encodeIfPresent(name, forKey: .name)
    try values.encode(images, forKey: .images)
    try values.encode(predicted, forKey: .predicted)
    try values.encode(correct, forKey: .correct)
    try values.encodeIfPresent(precision, forKey: .precision)
    try values.encodeIfPresent(recall, forKey: .recall)
    try values.encodeIfPresent(f1, forKey: .f1)
  }
}
