"""Parts that the reports of `scripts/bench load` and `scripts/bench push` share."""

from __future__ import annotations

import html
from typing import Any


def table(head: list[str], rows: list[list[str]]) -> str:
    """Of cells that are HTML already."""
    top = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>\n{body}</table>"


def figures(run: dict[str, Any]) -> str:
    """What was measured beside what was wanted."""
    rows = []
    for figure in run["figures"]:
        got = figure["got"] if isinstance(figure["got"], str) else f"{figure['got']:,.10g}"
        verdict = "" if not figure["wanted"] else "reached" if figure["reached"] else "<b>missed</b>"
        rows.append([html.escape(figure["what"]), html.escape(got), html.escape(figure["wanted"]), verdict])
    return "<h2>What was wanted</h2>\n" + table(["figure", "measured", "wanted", ""], rows)
