"""The report of a run: JSON for machines, HTML for people, a table for the terminal."""

from __future__ import annotations

import html
import json
import os
import platform
import re
import subprocess
import time
from pathlib import Path
from typing import Any

COLUMNS = (
    ("requests/s", "requests_per_second", "{:,.1f}"),
    ("MB/s", "megabytes_per_second", "{:,.1f}"),
    ("CPU us/request", "processor_us_per_request", "{:.1f}"),
    ("machine us/request", "machine_us_per_request", "{:.1f}"),
    ("machine busy", "machine_busy", "{:.0%}"),
    ("p50 ms", "latency_ms_p50", "{:.2f}"),
    ("p99 ms", "latency_ms_p99", "{:.2f}"),
    ("failures", "failures", "{:.0f}"),
)
COLOURS = ("#2f6f9f", "#c97b2a", "#5b8c5a", "#8c5b7f")


def first_line(*command: str) -> str:
    try:
        lines = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except OSError:
        return "not installed"
    return next((line.strip() for line in (lines.stdout + lines.stderr).splitlines() if line.strip()), "")


def machine() -> dict[str, Any]:
    model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "processors": os.cpu_count(),
        "model": model[1] if model else platform.machine(),
        "kernel": platform.release(),
        "haproxy": first_line("haproxy", "-v"),
        "nginx": first_line("nginx", "-v"),
        "wrk": first_line("wrk", "-v"),
        "swift": first_line("swift", "--version"),
    }


def table(case: dict[str, Any]) -> str:
    """Medians, a row each contender; then the ratios and what was wanted."""
    lines = [case["title"], "  " + f"{'median':<12}" + "".join(f"{name:>20}" for name, _, _ in COLUMNS)]
    for name in case["contenders"]:
        lines.append("  " + f"{name:<12}" + "".join(f"{form.format(case['medians'][name][field]):>20}" for _, field, form in COLUMNS))
    for pair, ratio in case["ratios"].items():
        if pair.startswith(case["contenders"][0] + "/"):
            lines.append(
                f"  {pair}, median of the ratios within a round: requests/s {ratio['requests_per_second']:.2f},"
                f" MB/s {ratio['megabytes_per_second']:.2f}, CPU per request {ratio['processor_us_per_request']:.2f}"
            )
    lines += [f"  wanted: {want['what']}: {want['ratio']:.2f}, {'reached' if want['reached'] else 'MISSED'}" for want in case["wanted"]]
    if case["failures"]:
        lines.append(f"  FAILED REQUESTS: {case['failures']}")
    return "\n".join(lines)


def _chart(case: dict[str, Any], field: str, title: str) -> str:
    """Bars, a group each round."""
    names, rounds = case["contenders"], case["rounds"]
    highest = max(turns[name][field] for turns in rounds for name in names) or 1
    bar, gap, height = 14, 16, 160
    group = bar * len(names) + gap
    width = max(group * len(rounds) + gap, 320)
    parts = [
        f'<svg width="{width}" height="{height + 40}" role="img" aria-label="{html.escape(title)}">',
        f'<text x="0" y="12">{html.escape(title)}</text>',
    ]
    for number, turns in enumerate(rounds):
        for place, name in enumerate(names):
            size = (height - 20) * turns[name][field] / highest
            x, y = gap + number * group + place * bar, height - size
            tip = f"round {number + 1}, {name}: {turns[name][field]:,.1f}"
            parts.append(
                f'<rect x="{x}" y="{y:.1f}" width="{bar - 2}" height="{size:.1f}" fill="{COLOURS[place % len(COLOURS)]}">'
                f"<title>{html.escape(tip)}</title></rect>"
            )
        parts.append(f'<text x="{gap + number * group}" y="{height + 16}" class="axis">{number + 1}</text>')
    return "\n".join([*parts, "</svg>"])


def page(run: dict[str, Any]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name, _, _ in COLUMNS)
    sections: list[str] = []
    for case in run["cases"]:
        body = ""
        for place, name in enumerate(case["contenders"]):
            cells = "".join(f"<td>{form.format(case['medians'][name][field])}</td>" for _, field, form in COLUMNS)
            body += f'<tr><th style="color:{COLOURS[place % len(COLOURS)]}">{html.escape(name)}</th>{cells}</tr>\n'
        wants = "".join(
            f"<li>{html.escape(want['what'])}: {want['ratio']:.2f}, {'reached' if want['reached'] else '<b>missed</b>'}</li>"
            for want in case["wanted"]
        )
        charts = _chart(case, "requests_per_second", "requests per second, by round") + _chart(
            case, "processor_us_per_request", "CPU us per request, by round"
        )
        sections.append(
            f"<h2>{html.escape(case['title'])}</h2>\n<table><tr><th>median</th>{head}</tr>\n{body}</table>\n<ul>{wants}</ul>\n{charts}"
        )
    facts = "".join(
        f"<li>{html.escape(key)}: {html.escape(str(value))}</li>"
        for key, value in {**run["machine"], **run["settings"], "time": run["time"]}.items()
    )
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sluice benchmarks</title>
<style>body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2em; max-width: 70em }} table {{ border-collapse: collapse }}
td, th {{ padding: .3em .9em; text-align: right; border-bottom: 1px solid #ccc }} th:first-child {{ text-align: left }}
.axis {{ font-size: 11px }} svg {{ margin: 1em 2em 0 0 }}</style>
<h1>Sluice benchmarks</h1>
<p>Contenders run in turn on one small machine: only the ratios inside one run mean anything.</p>
{"".join(sections)}
<h2>The run</h2>
<ul>{facts}</ul>
</html>
"""


def write(folder: Path, run: dict[str, Any]) -> Path:
    """Both files; the path of the JSON one."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.json"
    path.write_text(json.dumps(run, indent=2) + "\n")
    path.with_suffix(".html").write_text(page(run))
    return path
