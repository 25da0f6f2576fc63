"""Style sheet and script of the evaluation report.

Light, dark and print have their own sets of variables. The script makes tables sortable.
"""

from ava_detect.visualization.kind_marks import css_variables

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --panel: #f5f6f8; --ink: #1a1f26; --soft: #58626e; --line: #d8dde3;
  --accent: #4a5a8a; --heat: #f2a65a;
  @light-kinds@
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171b; --panel: #1d2127; --ink: #e8eaed; --soft: #a6b0bb; --line: #363d46;
    --accent: #93a5dc; --heat: #a4540f;
    @dark-kinds@
  }
}
@media print {
  :root {
    color-scheme: light;
    --paper: #ffffff; --panel: #ffffff; --ink: #000000; --soft: #444444; --line: #cccccc;
    --accent: #4a5a8a; --heat: #f2a65a;
    @light-kinds@
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
  print-color-adjust: exact; -webkit-print-color-adjust: exact;
}
main { max-width: 70rem; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; }
h1 { font-size: 1.35rem; line-height: 1.3; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 0 0 .5rem; }
h3 { font-size: 1rem; margin: 1.75rem 0 .25rem; }
section { margin-top: 2.75rem; scroll-margin-top: 1rem; }
h1 + section { margin-top: .5rem; }
h1 + section > h2, .unseen {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap;
}
section > p, figcaption, li { max-width: 44rem; }
p { margin: .5rem 0; }
a { color: var(--accent); }
nav { margin-top: 2rem; padding: .6rem 0; border-block: 1px solid var(--line); }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: 0; padding: 0; list-style: none; }
.headline { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 .75rem; margin: 0; }
.headline strong { font-size: 3.5rem; line-height: 1.15; letter-spacing: -.02em; font-variant-numeric: tabular-nums; }
dl.facts {
  display: grid; grid-template-columns: repeat(2, 1fr); gap: 1px; margin: 1rem 0;
  background: var(--line); border: 1px solid var(--line); border-radius: .4rem; overflow: hidden;
}
@media (min-width: 48rem) { dl.facts { grid-template-columns: repeat(4, 1fr); } }
dl.facts div { background: var(--panel); padding: .55rem .8rem; }
dl.facts dt { color: var(--soft); font-size: .8rem; }
dl.facts dd { margin: 0; font-weight: 600; font-variant-numeric: tabular-nums; }
dl.source { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .15rem 1rem; font-size: .9rem; }
dl.source dt { color: var(--soft); }
dl.source dd { margin: 0; overflow-wrap: anywhere; }
.kind { white-space: nowrap; }
.kind > span { font-size: .8em; }
.pose > span { color: var(--pose); }
.object > span { color: var(--object); }
.person > span { color: var(--person); }
.unknown > span { color: var(--unknown); }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; font-size: .9rem; }
figure { margin: 1rem 0; }
figcaption { color: var(--soft); font-size: .9rem; margin-top: .5rem; }
.drawings { display: grid; gap: 1rem 2rem; align-items: start; }
.drawings.small { grid-template-columns: repeat(auto-fit, minmax(min(100%, 16rem), 1fr)); }
.drawings.pair > div { max-width: 34rem; }
.drawings .on-wide { display: none; }
@media screen and (min-width: 52rem) {
  .drawings.pair { grid-template-columns: 1fr 1fr; }
  .drawings.pair > .whole { grid-column: 1 / -1; max-width: none; }
  .drawings .on-wide { display: block; }
  .drawings .on-narrow { display: none; }
}
ul.curves {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(8.75rem, 1fr)); gap: 1rem .75rem;
  margin: .5rem 0; padding: 0; list-style: none;
}
ul.curves li { max-width: 13rem; break-inside: avoid; }
ul.curves p { margin: 0; font-size: .8rem; line-height: 1.3; overflow-wrap: anywhere; }
svg { display: block; width: 100%; height: auto; }
svg * { stroke-linejoin: round; stroke-linecap: butt; }
svg text { font-family: inherit; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; margin: 1rem 0; position: relative; }
.scroll:focus-visible, button:focus-visible, a:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: separate; border-spacing: 0; font-size: .875rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .4rem; }
/* A table wider than the page moves under its caption. */
caption span { display: block; position: sticky; left: 0; width: max-content; max-width: min(100vw - 2.5rem, 44rem); }
th, td { padding: .28rem .7rem; text-align: left; vertical-align: baseline; border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 600; vertical-align: bottom; border-bottom: 2px solid var(--line); }
tbody th { font-weight: 400; }
.sortable tbody th { min-width: 8.5rem; }
tbody th, thead th:first-child { position: sticky; left: 0; background: var(--paper); padding-left: 0; }
.number { text-align: right; white-space: nowrap; }
thead .number { white-space: normal; }
thead button {
  font: inherit; color: inherit; text-align: inherit; background: none; border: 0; padding: 0; cursor: pointer;
}
thead button::after { content: "\\a0\\2195"; opacity: .45; }
[aria-sort=ascending] button::after { content: "\\a0\\2191"; opacity: 1; }
[aria-sort=descending] button::after { content: "\\a0\\2193"; opacity: 1; }
.clear { font-weight: 700; }
@media (max-width: 30rem) { th, td { padding-inline: .45rem; } }
@media print {
  main { max-width: none; padding: 0; }
  nav { display: none; }
  .scroll { overflow: visible; }
  table { font-size: .7rem; }
  th, td { padding: .15rem .35rem; }
  thead, tr, .drawings > div, dl.facts { break-inside: avoid; }
  h2, h3, caption { break-after: avoid; }
  thead button::after { content: "" !important; }
}
""".replace("@light-kinds@", css_variables(dark=False)).replace("@dark-kinds@", css_variables(dark=True))

SCRIPT = """
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    const isNumber = head.classList.contains("number");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const [first, second] = isNumber ? ["descending", "ascending"] : ["ascending", "descending"];
      const direction = head.getAttribute("aria-sort") === first ? second : first;
      const sign = direction === "ascending" ? 1 : -1;
      const key = row => row.cells[column].dataset.sort;
      const order = (a, b) => isNumber ? Number(a) - Number(b) : a.localeCompare(b);
      const rows = [...body.rows];
      // Rows without a value stay last, whichever way.
      rows.sort((a, b) => (key(a) === "") - (key(b) === "") || sign * order(key(a), key(b)));
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", direction);
      body.append(...rows);
    });
  });
}
"""
