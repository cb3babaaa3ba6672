/// The additional style of the pages of a run.
enum WatchStyle {
  static let css = """
    :root { --frozen: #1f6fd1; --training: #c2410c; --well: #efeeea; }
    @media (prefers-color-scheme: dark) {
      :root { --frozen: #6aa9f7; --training: #f59352; --well: #262624; }
    }
    .doing { font-size: 1.15rem; margin: 4px 0; }
    .doing strong { font-weight: 600; }
    .doing .state { margin-right: 6px; padding: 1px 10px; border: 1px solid; border-radius: 4px; }
    .doing .finished { color: var(--s2); }
    .doing .failed { color: var(--training); }
    .doing .stopped { color: var(--muted); }
    .muted { color: var(--muted); }
    .connection { font-size: 0.9rem; color: var(--muted); }
    .connection.away { color: var(--training); font-weight: 600; }
    .gone :is(.facts, .plots, .scroll, ul) { opacity: 0.7; filter: grayscale(1); }
    .facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 160px), 1fr)); gap: 10px 20px;
      margin: 14px 0; }
    .facts div { border-top: 1px solid var(--grid); padding-top: 4px; }
    .facts dt { color: var(--muted); font-size: 0.86rem; }
    .facts dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
    .stack { list-style: none; margin: 8px 0; padding: 0; max-width: 560px; display: flex;
      flex-direction: column-reverse; gap: 4px; }
    .layer { position: relative; display: flex; justify-content: space-between; gap: 12px; padding: 6px 12px;
      border: 1px solid var(--rule); border-radius: 4px; background: var(--well); overflow: hidden; }
    .layer span { position: relative; }
    .layer .name { font-weight: 600; }
    .layer svg { position: absolute; left: 0; top: 0; width: 100%; height: 100%; }
    .layer rect { fill: var(--frozen); fill-opacity: 0.28; }
    .layer.training { border-color: var(--training); }
    .layer.training rect { fill: var(--training); }
    .layer.toCome { border-style: dashed; background: none; }
    .encoder { min-width: 0; }
    .encoder h2 { margin: 0; font-size: 1rem; }
    .rows2 { grid-row: span 2; }
    .rows3 { grid-row: span 3; }
    .rows4 { grid-row: span 4; }
    #board { margin-top: 20px; align-items: start; }
    .box { max-height: 440px; overflow-y: auto; }
    .box thead th { position: sticky; top: 0; z-index: 2; }
    .box thead th:first-child { z-index: 3; }
    .find { display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: baseline; }
    .find[hidden] { display: none; }
    .find input { font: inherit; color: inherit; background: var(--page); border: 1px solid var(--rule);
      border-radius: 4px; padding: 3px 8px; max-width: 100%; }
    th button { font: inherit; color: inherit; background: none; border: 0; margin: 0; padding: 2px 0; cursor: pointer;
      text-align: inherit; }
    th[aria-sort="ascending"] button::after { content: "\\A0\\25B2"; }
    th[aria-sort="descending"] button::after { content: "\\A0\\25BC"; }
    :focus-visible { outline: 2px solid var(--s0); outline-offset: 1px; }
    .state { min-width: 5.5em; }
    .contact { min-width: 6.5em; }
    .steps { min-width: 15.5em; }
    .size { min-width: 5.5em; }
    td.reason { white-space: normal; min-width: 220px; }
    figcaption { color: var(--muted); font-size: 0.86rem; }
    td.text, th.text { text-align: left; }
    .bar { display: inline-block; width: 64px; height: 8px; margin-right: 8px; background: var(--grid); }
    .bar rect { fill: var(--training); }
    @media (max-width: 600px) {
      .facts { grid-template-columns: repeat(2, 1fr); }
      main { padding: 12px; }
      .encoder { grid-row: auto; }
      tbody th { white-space: nowrap; }
    }
    @media print {
      :root { --frozen: #1f6fd1; --training: #c2410c; --well: #efeeea; }
      .facts { grid-template-columns: repeat(6, 1fr); }
      .facts div, .layer { break-inside: avoid; }
      .encoder { grid-row: auto; break-inside: avoid; }
      .box { max-height: none; overflow: visible; }
      .box thead th { position: static; }
      .state, .contact, .steps, .size { min-width: 0; }
      th button { padding: 0; }
      th button::after { content: none; }
      .connection, .find, main + script { display: none; }
    }
    """
}
