/** How pages look: calm, on screens from 360 px on, light or dark as the reader has it, and on paper. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: #fcfcfb; --card: #f3f4f2; --ink: #1b1f23; --soft: #59616b; --line: #dfe2e0;
  --calm: #8b939c; --accent: #2f62b5; --second: #5a86a8; --good: #1b7a4c; --warn: #8f5b00; --bad: #b3261e;
  --tint-good: #e7f4ec; --tint-warn: #fbf1dc; --tint-bad: #fbe9e7; --tint-calm: #eef1f4;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --card: #1d2125; --ink: #e9ecee; --soft: #a5aeb7; --line: #30363c;
    --calm: #77808a; --accent: #7aa8f0; --second: #6c9abd; --good: #58c48c; --warn: #e3b04f; --bad: #ff8d80;
    --tint-good: #16281f; --tint-warn: #2b2413; --tint-bad: #321b19; --tint-calm: #1d2227;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "Helvetica Neue", "Noto Sans", "Liberation Sans", Arial, sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
}
main { max-width: 1120px; margin: 0 auto; padding: 0 24px 48px; }
p { margin: 0 0 12px; max-width: 72ch; }
code, .facts dd, .name, .value {
  font-family: ui-monospace, SFMono-Regular, "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace;
  font-size: .875em;
}
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

.verdict { margin: 32px 0 16px; padding: 32px 36px 28px; border-radius: 16px; background: var(--tint-calm); }
.verdict.good { background: var(--tint-good); --mood: var(--good); }
.verdict.warn { background: var(--tint-warn); --mood: var(--warn); }
.verdict.bad { background: var(--tint-bad); --mood: var(--bad); }
.verdict.calm { --mood: var(--soft); }
.over { margin: 0 0 16px; color: var(--soft); font-size: 14px; display: flex; flex-wrap: wrap; gap: 4px 20px; max-width: none; }
h1 { display: flex; align-items: center; gap: 16px; margin: 0 0 8px; font-size: clamp(30px, 6vw, 46px); line-height: 1.1; letter-spacing: -.02em; font-weight: 650; }
h1 .sign { flex: none; width: .9em; height: .9em; }
.sign circle { fill: var(--mood); }
.sign path { fill: none; stroke: var(--paper); stroke-width: 2.4; stroke-linecap: round; stroke-linejoin: round; }
.lead { font-size: 19px; line-height: 1.4; margin: 0 0 16px; }
.hubs { margin: 0 0 20px; max-width: none; }
.arrow { color: var(--soft); padding: 0 4px; }
.figures { display: flex; flex-wrap: wrap; gap: 16px 40px; margin: 0 0 20px; }
.figures div { display: flex; flex-direction: column; }
.figures dt { color: var(--soft); font-size: 13px; }
.figures dd { margin: 0; font-size: 26px; line-height: 1.25; font-weight: 600; letter-spacing: -.01em; }
.compared, .when { color: var(--soft); font-size: 14px; max-width: 84ch; }
.when { margin: 0; }
.error { margin: 0 0 20px; padding: 14px 18px; border-left: 3px solid var(--bad); background: var(--paper); border-radius: 0 8px 8px 0; }
.error p { margin: 0 0 4px; }
.error code { font-weight: 600; }
.next strong { font-weight: 600; margin-right: 6px; }

section { padding: 36px 0 16px; border-top: 1px solid var(--line); }
.verdict + section { border-top: 0; }
h2 { margin: 0 0 16px; font-size: 20px; line-height: 1.3; font-weight: 650; letter-spacing: -.01em; }
h3 { margin: 24px 0 8px; font-size: 16px; }
figure { margin: 4px 0 24px; }
figcaption { color: var(--soft); font-size: 13px; }
.chart svg { display: block; width: 100%; height: auto; overflow: visible; }
.chart .narrow { display: none; }

table { min-width: min(100%, 26rem); border-collapse: collapse; margin: 0 0 28px; font-size: 15px; }
.body > :last-child { margin-bottom: 20px; }
caption { text-align: left; font-weight: 600; padding: 0 0 6px; }
caption::first-letter, .figures dt::first-letter, .facts dt::first-letter { text-transform: uppercase; }
th, td { text-align: left; vertical-align: baseline; padding: 6px 28px 6px 0; border-bottom: 1px solid var(--line); font-weight: 400; }
th:last-child, td:last-child { padding-right: 0; }
thead th { color: var(--soft); font-size: 13px; padding-top: 2px; white-space: nowrap; }
.number { text-align: right; white-space: nowrap; }
.equations th[scope=row] { width: 7em; }
.equations { width: 100%; }
.equations td.number { width: 7.5em; font-weight: 600; }
.equations .sign { color: var(--soft); margin-right: 10px; }
.term, .whole { white-space: nowrap; }
.term { display: inline-block; margin-right: 8px; }
.term b { font-weight: 600; }
.term.none, .term.none b { color: var(--soft); font-weight: 400; }
.key { display: inline-block; margin-right: 16px; }
.swatch { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 6px; background: var(--calm); }
.swatch.accent { background: var(--accent); }
.swatch.second { background: var(--second); }
.swatch.good { background: var(--good); }
.swatch.bad { background: var(--bad); }
.note { color: var(--soft); font-size: 14px; margin: -16px 0 28px; }
.bar { display: block; min-width: 60px; height: 8px; border-radius: 4px; background: var(--card); overflow: hidden; }
.bar span { display: block; height: 100%; background: var(--warn); }
details { margin: 0 0 28px; }
summary { cursor: pointer; padding: 8px 0; }

ul { margin: 0; padding: 0; list-style: none; }
.warnings > li { padding: 0 0 20px; }
.warnings > li + li { padding-top: 20px; border-top: 1px solid var(--line); }
.warnings h3 { margin: 0 0 6px; }
.warnings .times { color: var(--soft); font-weight: 400; margin-left: 8px; }
.warnings p { margin: 0 0 6px; }
.names { margin-top: 8px; }
.names li { padding: 2px 0 2px 14px; border-left: 2px solid var(--line); font-size: 14px; }
.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(320px, 100%), 1fr)); gap: 16px; margin: 0 0 28px; }
.samples > li { padding: 14px 16px; background: var(--card); border-radius: 10px; font-size: 14px; }
.samples p { margin: 0 0 6px; }
.samples dl, .facts { margin: 0; }
.samples dl div { padding: 3px 0; }
.samples dt { color: var(--soft); }
.samples dd { margin: 0; }
.facts div { display: grid; grid-template-columns: 12em 1fr; gap: 4px 20px; padding: 7px 0; border-bottom: 1px solid var(--line); font-size: 15px; }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; }
dd .name, dd .value { font-size: inherit; }

@media (min-width: 960px) {
  section { display: grid; grid-template-columns: 200px minmax(0, 1fr); gap: 0 24px; }
  td code { overflow-wrap: break-word; }
}
@media (max-width: 640px) {
  main { padding: 0 16px 32px; }
  .verdict { margin: 12px -4px; padding: 24px 18px 20px; border-radius: 12px; }
  .figures { gap: 12px 28px; }
  .figures dd { font-size: 21px; }
  section { padding: 28px 0 8px; }
  .chart .wide { display: none; }
  .chart .narrow { display: block; }
  table { font-size: 14px; }
  th, td { padding-right: 12px; }
  thead th { white-space: normal; }
  .wide-one, .wide-one tbody, .wide-one tr, .wide-one th { display: block; }
  .wide-one thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .wide-one caption { display: block; }
  .wide-one tr { padding: 8px 0; border-bottom: 1px solid var(--line); }
  .wide-one th, .wide-one td { padding: 0; border: 0; }
  .wide-one td { display: inline-block; max-width: 100%; margin-right: 10px; }
  .wide-one td::before { content: attr(data-name) " "; color: var(--soft); }
  .wide-one td:empty { display: none; }
  .wide-one .number { white-space: normal; }
  .equations th[scope=row] { width: 5em; white-space: nowrap; }
  .equations td.number { width: auto; }
  .equations .sign { margin-right: 6px; }
  .facts div { grid-template-columns: 1fr; }
}
@media print {
  :root {
    color-scheme: light;
    --paper: #fff; --card: #f3f4f2; --ink: #111; --soft: #4d545c; --line: #cfd3d1;
    --calm: #8b939c; --accent: #2f62b5; --second: #5a86a8; --good: #1b7a4c; --warn: #8f5b00; --bad: #b3261e;
    --tint-good: #e7f4ec; --tint-warn: #fbf1dc; --tint-bad: #fbe9e7; --tint-calm: #eef1f4;
  }
  @page { margin: 16mm 14mm; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { font-size: 11pt; }
  main { max-width: none; padding: 0; }
  .verdict { margin-top: 0; }
  table { font-size: 9.5pt; }
  .equations th[scope=row], .equations td.number { width: 6em; }
  section { display: block; padding: 20px 0 8px; }
  h2, h3, caption { break-after: avoid; }
  figure, tr, .samples > li, .warnings > li, .verdict { break-inside: avoid; }
  thead { display: table-header-group; }
  details::details-content { content-visibility: visible; block-size: auto; }
  summary { display: none; }
  .chart .wide { display: block; }
  .chart .narrow { display: none; }
}
`;
