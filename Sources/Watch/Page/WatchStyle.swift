/// What the pages of a run have beyond every page's style.
enum WatchStyle {
  static let css = """
    :root { --frozen: #1f6fd1; --training: #c2410c; --well: #efeeea; }
    @media (prefers-color-scheme: dark) {
      :root { --frozen: #6aa9f7; --training: #f59352; --well: #262624; }
    }
    .doing { font-size: 1.15rem; margin: 4px 0; }
    .doing strong { font-weight: 600; }
    .muted { color: var(--muted); }
    .connection { font-size: 0.9rem; color: var(--muted); }
    .connection.away { color: var(--training); font-weight: 600; }
    .facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 150px), 1fr)); gap: 10px 20px;
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
    figcaption { color: var(--muted); font-size: 0.86rem; }
    td.text, th.text { text-align: left; }
    .bar { display: inline-block; width: 64px; height: 8px; margin-right: 8px; background: var(--grid); }
    .bar rect { fill: var(--training); }
    @media (max-width: 600px) {
      .facts { grid-template-columns: repeat(2, 1fr); }
      main { padding: 12px; }
    }
    """
}
