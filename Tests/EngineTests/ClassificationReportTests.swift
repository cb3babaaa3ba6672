import Engine
import Foundation
import Support
import Testing

@Suite struct ClassificationReportTests {
  /// Ten images of four classes, of which class 3 occurs nowhere:
  ///
  ///     true 0: 3 right, 1 as class 1       recall 3/4, precision 3/5, F1 6/9
  ///     true 1: 2 right, 1 as 0, 1 as 2     recall 2/4, precision 2/3, F1 4/7
  ///     true 2: 1 right, 1 as 0             recall 1/2, precision 1/2, F1 2/4
  private static let labels = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]
  private static let predictions = [0, 0, 1, 0, 1, 0, 1, 2, 0, 2]
  private static let report = ClassificationReport(
    labels: labels, predictions: predictions, classes: 4, classNames: ["cat", "dog", "a\nb", "fox"])

  @Test func smallCountsByHand() {
    let report = Self.report
    #expect(report.confusion == [[3, 1, 0, 0], [1, 2, 1, 0], [1, 0, 1, 0], [0, 0, 0, 0]])
    #expect(report.images == 10 && report.correct == 6 && report.classCount == 4)
    #expect(report.accuracy == 0.6)
    #expect(abs(report.balancedAccuracy - (0.75 + 0.5 + 0.5) / 3) < 1e-15)
    #expect(abs(report.macroF1 - (6.0 / 9 + 4.0 / 7 + 2.0 / 4) / 3) < 1e-15)
    #expect(report.auroc == nil)
    // Classes 0 and 1 are equally frequent.
    #expect(report.majorityClass == 0 && report.majorityBaseline == 0.4)
    let classes = report.classes
    #expect(classes.map(\.images) == [4, 4, 2, 0] && classes.map(\.predicted) == [5, 3, 2, 0])
    let precisions: [Double?] = [3.0 / 5, 2.0 / 3, 1.0 / 2, nil]
    let recalls: [Double?] = [3.0 / 4, 2.0 / 4, 1.0 / 2, nil]
    let harmonic: [Double?] = [6.0 / 9, 4.0 / 7, 2.0 / 4, nil]
    #expect(classes.map(\.precision) == precisions)
    #expect(classes.map(\.recall) == recalls && classes.map(\.f1) == harmonic)
  }

  /// A class that is only predicted lowers the macro-F1, but is no part of the balanced accuracy.
  @Test func aClassThatIsOnlyPredicted() {
    let report = ClassificationReport(labels: [1, 1, 1, 1], predictions: [1, 1, 1, 0], classes: 3)
    #expect(report.balancedAccuracy == 0.75 && report.accuracy == 0.75)
    #expect(abs(report.macroF1 - (0 + 6.0 / 7) / 2) < 1e-15)
    #expect(report.classes[0].recall == nil && report.classes[0].precision == 0)
    #expect(report.majorityClass == 1 && report.majorityBaseline == 1)
  }

  @Test func noImages() {
    let report = ClassificationReport(labels: [], predictions: [], classes: 2, scores: [])
    #expect(report.accuracy == 0 && report.balancedAccuracy == 0 && report.macroF1 == 0)
    #expect(report.majorityClass == 0 && report.majorityBaseline == 0 && report.auroc == nil)
    #expect(ClassificationReport(labels: [], predictions: [], classes: 0).text.hasPrefix("accuracy"))
  }

  @Test(
    arguments: [
      // Each pair of a positive and a negative is in order, in the wrong order, or tied.
      ([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], 1), ([1, 1, 0, 0], [0.1, 0.2, 0.3, 0.4], 0),
      ([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5], 0.5), ([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.75),
      ([0, 1, 1], [0.5, 0.5, 0.9], 0.75), ([0, 1], [-.infinity, .infinity], 1), ([0, 1], [0, -0.0], 0.5),
      ([1, 1], [0.1, 0.2], nil), ([0], [0.1], nil), ([0, 1], [0.5, .nan], nil),
    ] as [([Int], [Float], Double?)])
  func theAreaUnderTheCurve(labels: [Int], scores: [Float], area: Double?) {
    let report = ClassificationReport(labels: labels, predictions: labels, classes: 2, scores: scores)
    #expect(report.auroc == area)
    #expect(
      ClassificationReport(labels: labels, predictions: labels, classes: 3, scores: scores).auroc == nil)
  }

  /// Against the definitions, pair by pair and class by class.
  @Test func randomCountsFollowTheDefinitions() throws {
    let seed = UInt64.random(in: 0..<1 << 40)
    print("ClassificationReportTests: seed \(seed)")
    var random = RandomNumbers(seed)
    for trial in 0..<200 {
      let (count, classes) = (random.below(60) + 2, trial % 3 == 0 ? random.below(6) + 1 : 2)
      let labels = (0..<count).map { _ in random.below(classes) }
      let predictions = (0..<count).map { _ in random.below(classes) }
      // Few distinct scores, so that there are ties.
      let scores = (0..<count).map { _ in Float(random.below(trial % 2 == 0 ? 5 : 1000)) / 7 }
      let report = ClassificationReport(
        labels: labels, predictions: predictions, classes: classes, scores: scores)
      let pairs = labels.indices.flatMap { a in labels.indices.map { (a, $0) } }
        .filter { labels[$0.0] == 1 && labels[$0.1] == 0 }
      let won = pairs.reduce(0.0) {
        $0 + (scores[$1.0] > scores[$1.1] ? 1 : scores[$1.0] == scores[$1.1] ? 0.5 : 0)
      }
      let area = classes == 2 && !pairs.isEmpty ? won / Double(pairs.count) : nil
      #expect(report.auroc == area, "seed \(seed), trial \(trial)")
      let coded = try JSON.stored(report)
      #expect(try JSON.read(from: coded) == report, "seed \(seed), trial \(trial)")
      let right = zip(labels, predictions).count { $0 == $1 }
      #expect(report.accuracy == Double(right) / Double(count), "seed \(seed), trial \(trial)")
      let recalls = Set(labels).map { own in
        Double(labels.indices.count { labels[$0] == own && predictions[$0] == own })
          / Double(labels.count { $0 == own })
      }
      let balanced = recalls.reduce(0, +) / Double(recalls.count)
      #expect(abs(report.balancedAccuracy - balanced) < 1e-12, "seed \(seed), trial \(trial)")
      let harmonic = Set(labels + predictions).map { own -> Double in
        let hits = Double(labels.indices.count { labels[$0] == own && predictions[$0] == own })
        guard hits > 0 else { return 0 }
        let precision = hits / Double(predictions.count { $0 == own })
        let recall = hits / Double(labels.count { $0 == own })
        return 2 * precision * recall / (precision + recall)
      }
      let macro = harmonic.reduce(0, +) / Double(harmonic.count)
      #expect(abs(report.macroF1 - macro) < 1e-12, "seed \(seed), trial \(trial)")
      let most = (0..<classes).map { own in labels.count { $0 == own } }.max() ?? 0
      #expect(report.majorityBaseline == Double(most) / Double(count), "seed \(seed), trial \(trial)")
    }
  }

  @Test func probabilitiesPredictTheGreatest() {
    let boxed = StorageBoxed(3, 2)
    let values: [[Float]] = [[0.25, 0.75], [0.5, 0.5], [0.125, 0.875]]
    for row in 0..<3 { for column in 0..<2 { boxed.matrix[row, column] = values[row][column] } }
    let report = ClassificationReport(labels: [1, 0, 0], probabilities: boxed.matrix)
    #expect(report.confusion == [[1, 1], [0, 1]] && report.auroc == 0.5)
    #expect(
      report == ClassificationReport(labels: [1, 0, 0], predictions: [1, 0, 1], probabilities: boxed.matrix))
    let other = ClassificationReport(
      labels: [1, 0, 0], predictions: [0, 0, 0], probabilities: boxed.matrix, classNames: ["no", "yes"])
    #expect(
      other.confusion == [[2, 0], [1, 0]] && other.auroc == 0.5 && other.classNames == ["no", "yes"])
  }

  @Test func theJSONHasTheMeasuresAndReadsBackEqual() throws {
    for report in [
      Self.report,
      ClassificationReport(labels: [0, 1], predictions: [1, 1], classes: 2, scores: [0.25, 0.5]),
      ClassificationReport(labels: [], predictions: [], classes: 0),
    ] {
      let data = try JSON.stored(report)
      #expect(try JSON.read(ClassificationReport.self, from: data) == report)
      let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
      #expect(object["accuracy"] as? Double == report.accuracy)
      #expect(abs((object["macroF1"] as? Double ?? -1) - report.macroF1) < 1e-12)
      #expect(object["auroc"] as? Double == report.auroc)
      #expect(object["majorityClass"] as? Int == report.majorityClass)
      #expect((object["classes"] as? [[String: Any]])?.count == report.classCount)
    }
  }

  @Test(arguments: [
    "{}", #"{"confusion": [[1, 2]]}"#, #"{"confusion": [[1, -2], [0, 1]]}"#, #"{"confusion": [[0.5]]}"#,
    #"{"confusion": [[9223372036854775807, 1], [1, 1]]}"#, #"{"confusion": [[1]], "classNames": []}"#,
    #"{"confusion": [[1, 0], [0, 1]], "auroc": 1.5}"#, #"{"confusion": [[1]], "auroc": 0.5}"#,
    #"{"confusion": [[1, 0], [0, 1]], "auroc": "NaN"}"#,
  ])
  func whatIsNoReportIsNotDecoded(text: String) {
    #expect(throws: DecodingError.self) {
      try JSON.read(ClassificationReport.self, from: Data(text.utf8))
    }
  }

  @Test func theTextIsATable() {
    #expect(
      Self.report.text == #"""
        accuracy            60.0 %  6 of 10 images
        balanced accuracy   58.3 %
        macro-F1            57.9 %
        majority baseline   40.0 %  always 0 cat

        class   images  predicted  precision  recall      F1
        0 cat        4          5     60.0 %  75.0 %  66.7 %
        1 dog        4          3     66.7 %  50.0 %  57.1 %
        2 a\nb       2          2     50.0 %  50.0 %  50.0 %
        3 fox        0          0          -       -       -

        images by true class (row) and predicted class (column)

        class   0  1  2  3
        0 cat   3  1  0  0
        1 dog   1  2  1  0
        2 a\nb  1  0  1  0
        3 fox   0  0  0  0

        """#)
    let labels = Array(0..<21)
    let many = ClassificationReport(labels: labels, predictions: labels, classes: 21).text
    #expect(!many.contains("row"), "no matrix of more than 20 columns")
    let two = ClassificationReport(labels: [0, 1], predictions: [1, 1], classes: 2, scores: [0, 1]).text
    #expect(two.contains("\nAUROC                1.000\n"))
  }
}
