"""The report of `scripts/bench engine`: JSON, an HTML page, a table for the terminal."""

from __future__ import annotations

import html
import json
import time
from pathlib import Path
from typing import Any

from sluicelab.bench import report, report_html
from sluicelab.engine.runs import CASES

HEAD = ["case", "frames each", "instructions each", "a frame", "ns a frame", "frames/s", "allocations", "references"]


def machine() -> dict[str, Any]:
    found = report.machine()
    for peer in ("haproxy", "nginx", "wrk"):
        del found[peer]
    return {**found, "valgrind": report.first_line("valgrind", "--version")}


def _cells(name: str, run: dict[str, Any]) -> list[str]:
    counted = run["parts"].get("instructions", {}).get(name)
    played = run["parts"].get("packets", {}).get(name)
    first = [f"{counted['frames_per_exchange']:,}", f"{counted['per_exchange']:,}", f"{counted['per_frame']:,}"] if counted else ["-"] * 3
    second = ["-"] * 4
    if played:
        references = played["retains"] + played["releases"]
        second = [
            f"{played['median_ns_per_frame']:,.0f}",
            f"{played['frames_per_second']:,}",
            f"{played['allocations']:,}",
            f"{references:,}",
        ]
    return [CASES[name].title, *first, *second]


def _rows(run: dict[str, Any]) -> list[list[str]]:
    if not {"instructions", "packets"} & set(run["parts"]):
        return []
    return [_cells(name, run) for name in CASES]


def table(run: dict[str, Any]) -> str:
    rows = [HEAD, *_rows(run)]
    if len(rows) == 1:
        return ""
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEAD))]
    lines = [
        "  "
        + "  ".join(cell.rjust(width) if place else cell.ljust(width) for place, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]
    return "each: a request with its answer, or a message in a tunnel and its echo\n" + "\n".join(lines) + "\n"


def _profiles(run: dict[str, Any]) -> str:
    text = ""
    for name, counted in run["parts"].get("instructions", {}).items():
        rows = [[f"{cost:,.1f}", f"{cost / counted['per_exchange']:.1%}", html.escape(function)] for function, cost in counted["top"]]
        text += f"<h3>{html.escape(CASES[name].title)}</h3>\n" + report_html.table(["instructions each", "share", "function"], rows) + "\n"
    return "<h2>Where the instructions go</h2>\n" + text if text else ""


def page(run: dict[str, Any]) -> str:
    facts = {**run["machine"], **run["settings"], "time": run["time"], "seconds": run["seconds"]}
    listed = "".join(f"<li>{html.escape(key)}: {html.escape(str(value))}</li>" for key, value in facts.items())
    rows = [[html.escape(cell) for cell in row] for row in _rows(run)]
    cases = "<h2>Cases</h2>\n" + report_html.table(HEAD, rows) if rows else ""
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sluice: the engine</title>
<style>body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2em; max-width: 76em }} table {{ border-collapse: collapse; margin: 1em 0 }}
td, th {{ padding: .2em .7em; text-align: right; border-bottom: 1px solid #ccc }} td:first-child, th:first-child, td:last-child {{ text-align: left }}
</style>
<h1>The engine</h1>
<p>What the dispatcher's engine does for each frame, without input and output: recorded exchanges, played to it. Instructions are counted by
callgrind; allocations and references where the allocator and Swift's runtime are entered.</p>
{report_html.figures(run)}
{cases}
{_profiles(run)}
<h2>The run</h2>
<ul>{listed}</ul>
</html>
"""


def write(folder: Path, run: dict[str, Any]) -> Path:
    """Both files; the path of the JSON one."""
    folder.mkdir(exist_ok=True)
    path = folder / f"engine-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.json"
    path.write_text(json.dumps(run, indent=1) + "\n")
    path.with_suffix(".html").write_text(page(run))
    return path
