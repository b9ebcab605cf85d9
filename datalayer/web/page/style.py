"""The page's style sheet: light and dark by the reader's own preference, light on paper."""

from __future__ import annotations

from datalayer.web.page.markup import Markup

STYLE = Markup("""
:root {
  --page: #f5f6f8; --card: #fff; --ink: #1b2027; --soft: #586069; --line: #dfe3e8;
  --good: #1a7f37; --warn: #8a5a00; --bad: #c4232d; --plot: #3567b0; --tint: #b9cdec;
  --good-tint: #e9f6ec; --warn-tint: #fdf4dc; --bad-tint: #fdecec;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #0e1216; --card: #161b21; --ink: #e4e8ed; --soft: #99a4b0; --line: #2b323b;
    --good: #4cc36d; --warn: #e0b040; --bad: #ff7f78; --plot: #6fa3ec; --tint: #2c466d;
    --good-tint: #11251a; --warn-tint: #2a2211; --bad-tint: #2f1719;
  }
}
* { box-sizing: border-box; }
html { color-scheme: light dark; -webkit-text-size-adjust: 100%; }
body {
  margin: 0; padding: 1.5rem 1rem 3rem; background: var(--page); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
}
body > * { max-width: 70rem; margin-inline: auto; }
h1, h2, h3, p, ul, dl, dd, figure, table { margin: 0; padding: 0; }
h1 { font-size: 1.6rem; line-height: 1.25; letter-spacing: -.015em; }
h2 { font-size: 1.2rem; line-height: 1.3; letter-spacing: -.01em; }
h2 .state { margin-left: .35rem; font-weight: 400; letter-spacing: 0; }
h3 .state { margin-left: .35rem; font-weight: 400; }
h3, caption { font-size: .875rem; font-weight: 600; text-align: left; }
h3 { margin-bottom: .5rem; }
a { color: inherit; text-underline-offset: .2em; text-decoration-color: var(--soft); }
a:focus-visible, summary:focus-visible {
  outline: 2px solid var(--plot); outline-offset: 2px; border-radius: 2px;
}
code { font: .85em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.facts + .soft { margin-top: .5rem; }
.soft, footer { color: var(--soft); font-size: .875rem; }
.top {
  display: flex; flex-wrap: wrap; gap: .25rem 1rem; justify-content: space-between;
  margin-bottom: 1rem; color: var(--soft); font-size: .875rem;
}
.top strong { color: var(--ink); }
.top nav { display: flex; gap: 1rem; }
.card, .verdict {
  background: var(--card); border: 1px solid var(--line); border-radius: .75rem;
  padding: 1.25rem; margin-bottom: 1rem;
}
.verdict { display: grid; grid-template-columns: auto 1fr; gap: .25rem 1rem; }
.verdict > .icon { width: 2.5rem; height: 2.5rem; }
.verdict > div { align-self: center; min-width: 0; }
.verdict.good { background: var(--good-tint); }
.verdict.warn { background: var(--warn-tint); }
.verdict.bad { background: var(--bad-tint); }
.verdict ul { padding-left: 1.1rem; margin-top: .5rem; }
.verdict li + li { margin-top: .25rem; }
.verdict h2 { margin-top: .9rem; font-size: .875rem; letter-spacing: 0; }
.icon { width: 1rem; height: 1rem; flex: none; fill: currentColor; }
.icon .cut {
  fill: none; stroke: var(--card); stroke-width: 2.6; stroke-linecap: round;
  stroke-linejoin: round;
}
.icon .hollow { fill: none; stroke: currentColor; stroke-width: 2.5; }
.icon.good { color: var(--good); }
.icon.warn { color: var(--warn); }
.icon.bad { color: var(--bad); }
.icon.quiet { color: var(--soft); }
.tiles {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 18rem), 1fr));
  gap: 1rem; padding: 0; margin-bottom: 1rem; list-style: none;
}
.tiles > li { display: flex; }
.tiles a {
  flex: 1; text-decoration: none; padding: 1rem 1.25rem; background: var(--card);
  border: 1px solid var(--line); border-radius: .75rem;
}
.tiles a:hover { border-color: var(--soft); }
.named { display: flex; flex-wrap: wrap; gap: .1rem .75rem; align-items: baseline; }
.named > :first-child { margin-right: auto; font-weight: 600; }
.state {
  display: inline-flex; gap: .4rem; align-items: center; vertical-align: text-bottom;
  min-width: 0; font-size: .875rem;
}
.facts {
  display: flex; flex-wrap: wrap; gap: .6rem 1.25rem; margin-top: .75rem;
}
.facts div { display: flex; flex-direction: column-reverse; justify-content: flex-end; }
.facts dt { color: var(--soft); font-size: .8125rem; line-height: 1.3; }
.facts dd { font-weight: 600; white-space: nowrap; }
h3 + .facts { margin-top: 0; }
.card > .about { color: var(--soft); font-size: .875rem; margin-top: .15rem; }
.trouble {
  margin-top: .75rem; padding: .6rem .8rem; background: var(--warn-tint);
  border-left: 3px solid var(--warn); border-radius: .25rem; font-size: .9375rem;
}
.trouble.bad { background: var(--bad-tint); border-color: var(--bad); }
.parts { display: grid; gap: 1.75rem 2.5rem; margin-top: 1.25rem; }
.parts > * { min-width: 0; }
.slow { margin-top: 1.75rem; }
summary { margin-top: .5rem; color: var(--soft); font-size: .875rem; cursor: pointer; }
details table { margin-top: .75rem; }
table + .soft { margin-top: .5rem; }
@media (min-width: 52rem) { .parts { grid-template-columns: 1fr 1fr; } }
table { width: 100%; border-collapse: collapse; font-size: .875rem; }
caption { padding-bottom: .35rem; }
th { color: var(--soft); font-size: .8125rem; font-weight: 400; text-align: left; }
th, td {
  padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
}
tbody tr:last-child > * { border-bottom: 0; }
th:last-child, td:last-child { padding-right: 0; }
tbody th { color: var(--ink); font-size: inherit; }
.right { text-align: right; }
.role { min-width: 7.2rem; }
.right, .still, time { white-space: nowrap; }
.bars { width: 28%; vertical-align: middle; }
svg { display: block; overflow: visible; }
svg text { fill: var(--soft); font-size: 11px; }
.bar, .pool { width: 100%; }
.parts figure { display: flex; flex-direction: column; gap: .75rem; }
.parts h3 { margin-bottom: 0; }
.parts div > h3 { margin-bottom: .5rem; }
.distribution { width: 100%; margin-top: auto; padding: 0 20px 0 3.9rem; }
.distribution .middle { text-anchor: middle; }
.distribution .end { text-anchor: end; }
.distribution .mark { fill: var(--ink); font-weight: 600; }
.column { fill: var(--plot); stroke: var(--card); stroke-width: 1px; }
.column:hover { opacity: .75; }
.grid { stroke: var(--line); }
.base { stroke: var(--soft); }
.percentile { stroke: var(--ink); stroke-dasharray: 3 3; }
.pool rect { stroke: var(--card); stroke-width: 2px; }
.pool .in-use, .swatch.in-use { fill: var(--plot); background: var(--plot); }
.pool .idle, .swatch.idle { fill: var(--tint); background: var(--tint); }
.pool .idle { stroke: var(--plot); stroke-width: 1px; }
.swatch.idle { border: 1px solid var(--plot); }
.pool .room { fill: none; stroke: var(--soft); stroke-width: 1px; stroke-dasharray: 2 3; }
.swatch.room { border: 1px dashed var(--soft); }
.swatch {
  display: inline-block; width: .7rem; height: .7rem; margin-right: .4rem; border-radius: 2px;
}
.legend .state { font-weight: 600; }
.legend { display: flex; flex-wrap: wrap; gap: .15rem 1rem; margin-top: .5rem; padding: 0;
  list-style: none; font-size: .875rem; }
.bar .track { fill: var(--line); }
.bar .filled { fill: var(--plot); }
.transfer { margin-top: 1rem; }
.transfer + .transfer { margin-top: 1.5rem; }
.transfer .bar { margin: .5rem 0 .35rem; }
@media (max-width: 68rem) { .bars { display: none; } }
@media (max-width: 32rem) {
  .wide { display: none; }
  body { padding: 1rem .75rem 2rem; }
  .card, .verdict, .tiles a { padding: 1rem; }
  .verdict > .icon { width: 2rem; height: 2rem; }
  h1 { font-size: 1.35rem; }
  table { font-size: .8125rem; }
  th, td { padding-right: .6rem; }
}
@media print {
  html { color-scheme: light; }
  body {
    padding: 0; background: #fff; font-size: 10pt;
    print-color-adjust: exact; -webkit-print-color-adjust: exact;
  }
  nav { display: none !important; }
  .card, .verdict, .tiles li, table, figure { break-inside: avoid; }
  .parts { grid-template-columns: 1fr 1fr; }
}
""")
