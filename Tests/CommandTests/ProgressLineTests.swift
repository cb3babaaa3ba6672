import Commands
import Testing

/// The line about work in progress: share done, rate and remaining time.
@Suite struct ProgressLineTests {
  private func line(_ done: Double, of total: Double, after seconds: Double) -> ProgressLine {
    ProgressLine(done: done, total: total, unit: "seeds", elapsed: seconds, text: "2 failed")
  }

  @Test(arguments: [
    (450.0, 1000.0, 30.0, " 45 %  0:37 left  15 seeds/s  2 failed"),
    (1, 2, 100, " 50 %  1:40 left  36 seeds/h  2 failed"),
    (3, 4, 60, " 75 %  0:20 left  3.0 seeds/min  2 failed"),
    (0, 4, 12, "  0 %  0:12  2 failed"),
    (5, 4, 10, "100 %  0:10  2 failed"),
  ])
  func rateAndTimeLeft(done: Double, total: Double, seconds: Double, expected: String) {
    #expect(line(done, of: total, after: seconds).plain == expected)
  }

  /// The count is shown if there is space for it.
  @Test(arguments: [
    (80, " 45 %  0:37 left  15 seeds/s  450 of 1000, 2 failed"),
    (60, " 45 %  0:37 left  450 of 1000, 2 failed"),
    (44, " 45 %  450 of 1000, 2 failed"), (20, " 45 %  450 of 1000, 2 failed"),
  ])
  func aNarrowTerminalGetsNoRateAndThenNoTime(columns: Int, expected: String) {
    let line = ProgressLine(done: 450, total: 1000, unit: "seeds", elapsed: 30, text: "450 of 1000, 2 failed")
    #expect(line.bar(columns: columns).drop { "█░".contains($0) } == " " + expected)
  }

  @Test func nothingToDoIsDone() {
    #expect(line(0, of: 0, after: 1).plain.hasPrefix("100 %"))
  }

  @Test(arguments: [(80, 20), (40, 10), (300, 24), (1, 4)])
  func theBarIsAsWideAsTheTerminalAllows(columns: Int, width: Int) {
    let bar = line(500, of: 1000, after: 10).bar(columns: columns)
    #expect(bar.count { $0 == "█" } == width / 2 && bar.count { $0 == "░" } == width / 2, "\(bar)")
  }
}
