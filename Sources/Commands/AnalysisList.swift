import ArgumentParser
import Federation

/// Parses the names of the measures of an analysis of layers on a command line.
package enum AnalysisList {
  /// The known names, as words of a sentence.
  package static let names = AnalysisMeasure.allCases.map(\.rawValue).joined(separator: ", ")

  /// Parses a comma-separated list; throws an error that names what is known.
  @Sendable package static func measures(_ text: String) throws -> [AnalysisMeasure] {
    var known: [AnalysisMeasure] = []
    for word in text.split(separator: ",", omittingEmptySubsequences: false) {
      guard let measure = AnalysisMeasure(rawValue: String(word)) else {
        throw ValidationError("'\(word)' is not one of \(names)")
      }
      guard !known.contains(measure) else { throw ValidationError("'\(word)' is given twice") }
      known.append(measure)
    }
    return known
  }

  /// Throws unless the number of samples of an analysis is permitted.
  package static func check(samples: Int) throws {
    guard (2...LayerAnalysis.mostSamples).contains(samples) else {
      throw ValidationError("--analyse-samples is 2 to \(LayerAnalysis.mostSamples)")
    }
  }
}
