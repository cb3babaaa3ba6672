import Foundation
import Pages
import Server

/// What the server does, or how it ended, in a line.
struct Headline {
  let overview: Overview

  /// How it ended, in a word for the page's title; where it has not, where in the job it is.
  var title: String { ending?.word ?? overview.status.place }

  var html: String {
    let status = overview.status
    guard let ending else {
      return "<p class=\"doing\"><strong>\(Markup.escape(Wording.sentence(status.place)))</strong> "
        + "\(Markup.escape(Wording.sentence(doing)))</p>"
    }
    return
      "<p class=\"doing\"><strong class=\"state \(ending.style)\">\(Markup.escape(ending.word))</strong> "
      + "\(Markup.escape(Wording.sentence(ending.words)))</p>"
  }

  /// The style, a word, and what there is to say.
  private var ending: (style: String, word: String, words: String)? {
    let place = overview.status.place
    switch overview.status.phase {
    case .finished: return ("finished", "Finished", "the job is done")
    case .failed:
      let why = overview.failure ?? "something failed, and the server's log says what"
      return ("failed", overview.status.reason == nil ? "Given up" : "Failed", "\(place): \(why)")
    case .stopped:
      return ("stopped", "Stopped", "\(place); the job goes on when the server is started again")
    case .recruiting, .training, .aggregating, .calibrating:
      guard !overview.isRunning else { return nil }
      return ("failed", "Gone", "the server does not run; it was at \(place)")
    }
  }

  /// The cohort of a round that goes on after a restart may not be here yet.
  private var doing: String {
    let status = overview.status
    guard status.phase == .training, Double(status.present) < Double(status.cohort) - Double(status.admitted)
    else {
      return status.doing
    }
    let updates = "\(status.admitted) updates are here, \(status.quorum) are needed"
    let here = ["none is", "one is"].dropFirst(max(status.present, 0)).first ?? "\(status.present) are"
    return "\(status.cohort) clients were asked to train, \(here) connected: \(updates)"
  }
}
