/// The style of all pages, in light and dark mode, for wide and narrow screens.
package enum PageStyle {
  /// The classes s0, s1 … are a plot's line styles; they differ in colour and dashes. The colours repeat once, with
  /// dots.
  package static let css = """
    :root {
      color-scheme: light dark;
      --page: #fcfcfb; --text: #1d1d1b; --muted: #5c5b57; --grid: #e4e3df; --rule: #bdbcb6;
      --s0: #1f6fd1; --s1: #c2410c; --s2: #0f7b5f; --s3: #7d3fb8; --s4: #8a6500; --s5: #b0246b;
    }
    @media (prefers-color-scheme: dark) {
      :root {
        --page: #191918; --text: #f1f0ec; --muted: #b3b1aa; --grid: #33322f; --rule: #605e58;
        --s0: #6aa9f7; --s1: #f59352; --s2: #45c49c; --s3: #c294f2; --s4: #d8b04a; --s5: #f08abb;
      }
    }
    * { box-sizing: border-box; }
    body { margin: 0; background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
    main { max-width: 1320px; margin: 0 auto; padding: 16px; }
    h1 { font-size: 1.6rem; line-height: 1.2; margin: 8px 0; overflow-wrap: anywhere; }
    h2 { font-size: 1.15rem; margin: 28px 0 8px; }
    p { margin: 8px 0; overflow-wrap: anywhere; }
    .scroll { overflow-x: auto; }
    table { border-collapse: separate; border-spacing: 0; font-variant-numeric: tabular-nums; font-size: 0.94rem; }
    th, td { padding: 5px 10px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--grid); }
    thead th { color: var(--muted); font-weight: 600; white-space: normal; vertical-align: bottom; }
    thead th, thead td { background: var(--page); }
    tbody th { text-align: left; font-weight: 600; white-space: normal; overflow-wrap: break-word; min-width: 150px; }
    tbody th, thead tr > :first-child { position: sticky; left: 0; z-index: 1; background: var(--page); }
    .plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 380px), 1fr)); gap: 20px; }
    figure { margin: 0; min-width: 0; }
    .plots figure { max-width: 560px; }
    .plot .halo { paint-order: stroke; stroke: var(--page); stroke-width: 4px; }
    .plot { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif; }
    .plot text { fill: var(--text); }
    .plot .title { font-size: 14px; font-weight: 600; }
    .plot .last { font-weight: 400; fill: var(--muted); }
    .plot .tick { fill: var(--muted); }
    .plot .end { text-anchor: end; }
    .plot .start { text-anchor: start; }
    .plot .middle { text-anchor: middle; }
    .plot .grid { stroke: var(--grid); }
    .plot .axis, .plot .border { stroke: var(--rule); }
    .plot .border { stroke-width: 0.75; }
    .plot polyline { fill: none; stroke-width: 2; stroke-linejoin: round; }
    .plot circle { stroke: var(--page); }
    \((0..<Plot.Series.styles).map { ".s\($0) { stroke: var(--s\($0 % colours)); fill: var(--s\($0 % colours)); }" }
      .joined(separator: "\n"))
    .s1 polyline { stroke-dasharray: 8 4; }
    .s2 polyline { stroke-dasharray: 2 3; }
    .s3 polyline { stroke-dasharray: 9 3 2 3; }
    .s4 polyline { stroke-dasharray: 16 4; }
    .s5 polyline { stroke-dasharray: 6 3 1 3 1 3; }
    \((colours..<Plot.Series.styles).map { ".s\($0) polyline { stroke-dasharray: 1 4; }" }.joined(separator: "\n"))
    .plot .band polygon { stroke: none; fill-opacity: 0.16; }
    .plot .band polyline { stroke-width: 0.75; stroke-opacity: 0.55; stroke-dasharray: none; }
    .plot .band circle { stroke: none; }
    .reference { stroke: var(--muted); fill: var(--muted); }
    .reference polyline { stroke-width: 1.5; stroke-dasharray: 4 4; }
    .notes { margin-top: 28px; color: var(--muted); font-size: 0.94rem; }
    details { margin: 20px 0; }
    summary { cursor: pointer; font-weight: 600; }
    pre { overflow-x: auto; padding: 12px; border: 1px solid var(--grid); font-size: 0.85rem; }
    .caption { color: var(--muted); font-size: 0.94rem; }
    @media (max-width: 820px) {
      .cards table, .cards tbody, .cards tr, .cards th, .cards td { display: block; }
      .cards thead { display: none; }
      .cards tr { padding: 6px 0; border-bottom: 1px solid var(--rule); }
      .cards tbody th { position: static; min-width: 0; max-width: none; padding: 4px 0; border: 0; }
      .cards tbody th { overflow-wrap: anywhere; }
      .cards td { display: flex; justify-content: space-between; gap: 16px; padding: 2px 0; border: 0; }
      .cards td { white-space: normal; }
      .cards td::before { content: attr(data-label); color: var(--muted); text-align: left; }
      .cards td.none { display: none; }
    }
    @media (max-width: 600px) {
      th, td { padding: 5px 8px; }
      tbody th { min-width: 96px; max-width: 144px; overflow-wrap: anywhere; }
    }
    @page { size: A4 landscape; margin: 12mm; }
    @media print {
      :root {
        color-scheme: light;
        --page: #ffffff; --text: #1d1d1b; --muted: #5c5b57; --grid: #e4e3df; --rule: #bdbcb6;
        --s0: #1f6fd1; --s1: #c2410c; --s2: #0f7b5f; --s3: #7d3fb8; --s4: #8a6500; --s5: #b0246b;
      }
      body { font-size: 10pt; }
      main { max-width: none; padding: 0; }
      h2 { break-after: avoid; }
      .scroll, pre { overflow: visible; }
      table { width: 100%; font-size: 8pt; }
      th, td { padding: 2pt 4pt; }
      td.text, tbody th { white-space: normal; overflow-wrap: anywhere; }
      tbody th { min-width: 0; max-width: 40mm; overflow: visible; }
      tbody th, thead tr > :first-child { position: static; background: none; }
      tr, figure, .notes p { break-inside: avoid; }
      .plots { grid-template-columns: 1fr 1fr; gap: 4mm 8mm; }
      .plot { width: auto; max-width: 100%; height: 66mm; }
      pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 8pt; }
      details::details-content { display: block; content-visibility: visible; }
    }
    \(ConfusionMatrixFigure.css)
    \(PlanePlot.css)
    \(ScatterPlot.css)
    """

  /// The number of colours of lines.
  private static let colours = 6
}

/// Escapes text for HTML and SVG.
package enum Markup {
  /// Returns a text with all special characters of markup replaced by references.
  package static func escape(_ text: String) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      case "'": escaped += "&#39;"
      case "\t", "\n": escaped.unicodeScalars.append(scalar)
      // A document must not contain other control characters, nor these two.
      case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{FFFE}", "\u{FFFF}": escaped += "\u{FFFD}"
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}
