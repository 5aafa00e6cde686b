"""HTML that cannot forget to escape, and the style of the morning's page: light, dark and printed, in one file."""

import html
from collections.abc import Iterable, Sequence


class Markup(str):
    """HTML as it stands. Any other string is text, and escaped wherever it enters an element."""

    __slots__ = ()


def element(tag: str, *children: str, **attributes: str) -> Markup:
    """`<tag ...>children</tag>`; attributes are written as in Python: `class_`, `aria_label`."""
    names = {name: name.rstrip("_").replace("_", "-") for name in attributes}
    written = "".join(f' {names[name]}="{html.escape(value)}"' for name, value in attributes.items())
    return Markup(f"<{tag}{written}>{joined(children)}</{tag}>")


def joined(children: Iterable[str]) -> Markup:
    return Markup("".join(child if isinstance(child, Markup) else html.escape(child) for child in children))


def table(columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> Markup:
    """`columns` are (heading, class of its cells); "number" stands right, "words" wraps, "bars" is wide,
    "line" is drawn in the middle; "wide" and "line" are left out where there is no room.

    Without a single heading there is no head.
    """
    classes = [class_ for _, class_ in columns]
    headings = [element("th", heading, class_=class_, scope="col") for heading, class_ in columns]
    head = element("thead", element("tr", *headings)) if any(heading for heading, _ in columns) else Markup()
    body = [
        element("tr", *(element("td", cell, class_=class_) for cell, class_ in zip(row, classes, strict=True)))
        for row in rows
    ]
    return element("div", element("table", head, element("tbody", *body)), class_="scroll")


def section(title: str, *children: str, note: str = "", class_: str = "") -> Markup:
    about = [element("p", note, class_="note")] if note else []
    return element("section", element("h2", title), *about, *children, class_=class_)


def document(title: str, *body: str) -> str:
    """A page that loads nothing: no script, and no file but itself."""
    head = joined(
        (
            Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
            Markup('<meta name="color-scheme" content="light dark">'),
            element("title", title),
            element("style", Markup(STYLE)),
        )
    )
    page = element("html", element("head", head), element("body", element("main", *body)), lang="en")
    return f"<!DOCTYPE html>\n{page}\n"


STYLE = """
:root {
  color-scheme: light dark;
  --paper: #f5f6f8; --card: #ffffff; --ink: #1a1f29; --faint: #626b7c; --line: #e3e6eb; --track: #eef0f4;
  --good: #0a7446; --good-tint: #e3f4eb; --wary: #8f5b00; --wary-tint: #fdf1d8; --bad: #b3261e; --bad-tint: #fce8e6;
  --first: #0072b2; --second: #d55e00;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #0f1217; --card: #181c24; --ink: #e7e9ee; --faint: #98a1b2; --line: #2a303b; --track: #232934;
    --good: #57d39a; --good-tint: #12332a; --wary: #f2bd5c; --wary-tint: #37290f; --bad: #ff8f85; --bad-tint: #401c1b;
    --first: #58b4ea; --second: #f58c3f;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1160px; margin: 0 auto; padding: 32px 24px 56px; }
header { border-radius: 12px; padding: 24px 28px; margin-bottom: 20px; border-left: 8px solid; }
header .where { margin: 0; color: var(--faint); }
header h1 { margin: 2px 0 8px; font-size: 44px; line-height: 1.1; letter-spacing: -0.02em; }
header p { margin: 6px 0 0; max-width: 86ch; color: var(--ink); }
header .lead { font-size: 1.2em; font-weight: 600; }
header.promoted { background: var(--good-tint); border-color: var(--good); }
header.promoted h1, .good { color: var(--good); }
header.kept { background: var(--wary-tint); border-color: var(--wary); }
header.kept h1, .wary { color: var(--wary); }
header.trained { background: var(--card); border-color: var(--first); }
header.trained h1 { color: var(--first); }
.faint { color: var(--faint); }
.part { display: block; }
header.stopped { background: var(--bad-tint); border-color: var(--bad); }
header.stopped h1, .bad { color: var(--bad); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 20px 24px;
  margin-bottom: 20px; min-width: 0; }
h2 { font-size: 1.13em; margin: 0 0 10px; letter-spacing: -0.005em; }
.note { margin: -6px 0 10px; color: var(--faint); font-size: 0.9em; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(440px, 100%), 1fr)); gap: 0 20px;
  align-items: start; }
.columns.plots { grid-template-columns: 5fr 6.5fr; align-items: stretch; }
.columns.plots > :only-child { grid-column: 1 / -1; }
.square figure { max-width: 560px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-size: 0.84em; font-weight: 600; color: var(--faint); white-space: nowrap; }
th, td { padding: 6px 14px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; white-space: nowrap; }
.columns th, .columns td { padding-right: 10px; }
tr > :last-child, .columns tr > :last-child { padding-right: 0; }
tbody tr:last-child td { border-bottom: 0; }
.number { text-align: right; }
td.took { white-space: nowrap; }
td.interval { min-width: 6.3em; }
.line { text-align: center; }
.line .whisker { margin: 0 auto; }
.bars { width: 40%; }
th.words { white-space: normal; }
td.words { min-width: 96px; white-space: normal; overflow-wrap: anywhere; }
.pill { display: inline-block; min-width: 44px; padding: 1px 8px; border-radius: 99px; text-align: center;
  font-size: 0.84em; font-weight: 600; }
.pill.good { background: var(--good-tint); }
.pill.bad { background: var(--bad-tint); }
.tiles { display: flex; flex-wrap: wrap; gap: 8px 40px; margin: 0 0 14px; }
.tiles div { display: flex; flex-direction: column; }
.tiles dt { color: var(--faint); font-size: 0.87em; }
.tiles dd { margin: 0; font-size: 1.6em; line-height: 1.25; font-weight: 600; font-variant-numeric: tabular-nums; }
.tiles dd.before { font-size: 0.87em; font-weight: 400; color: var(--faint); }
ul.bad { margin: 0 0 14px; padding-left: 20px; }
svg { display: block; max-width: 100%; }
figure { margin: 0; }
figure svg { width: 100%; height: auto; }
figure svg text { fill: var(--ink); font-family: inherit !important; }
.whisker { width: 170px; height: 18px; }
.span { width: 100%; min-width: 64px; height: 8px; margin-top: 7px; border-radius: 4px; }
@media screen and (max-width: 1160px) {
  th, td { padding-right: 6px; }
}
@media screen and (max-width: 760px) {
  main { padding: 14px 12px 32px; }
  header { padding: 18px 20px; }
  header h1 { font-size: 34px; }
  section { padding: 16px; }
  .columns.plots { grid-template-columns: 1fr; }
  th, td { padding-right: 9px; white-space: normal; }
}
@media screen and (max-width: 540px) {
  table { font-size: 12.5px; }
  th, td { padding-right: 7px; }
  th.words { white-space: normal; }
  td.words { min-width: 56px; }
  .line, .wide { display: none; }
  .bars { width: 25%; }
}
@media print {
  body { background: none; font-size: 11.5px; }
  main { max-width: none; padding: 0; }
  header, .pill { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  section { padding: 10px 14px; margin-bottom: 10px; }
  tr, figure, header { break-inside: avoid; }
  h2 { break-after: avoid; }
  .scroll { overflow: visible; }
  th, td { padding: 3px 10px 3px 0; }
}
"""
