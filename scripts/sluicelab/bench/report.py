"""The report of a run: JSON for machines, HTML for people (page.py), a table for the terminal."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from . import page

Case = dict[str, Any]
Run = dict[str, Any]


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
        "nft": first_line("nft", "--version"),
        "wrk": first_line("wrk", "-v"),
        "swift": first_line("swift", "--version"),
    }


def table(case: Case) -> str:
    """Medians, a row each contender; then what was wanted."""
    columns = page.columns(case)
    lines = [case["title"], "  " + f"{'median':<17}" + "".join(f"{column.title:>20}" for column in columns)]
    for name in case["contenders"]:
        cells = "".join(f"{column.cell(case['medians'][name]):>20}" for column in columns)
        lines.append(f"  {name:<17}{cells}")
    for pair, figures in case["ratios"].items():
        if pair.startswith(case["contenders"][0] + "/"):
            shown = "; ".join(f"{page.name_of(figure)} {page.ratio(one)}" for figure, one in figures.items())
            lines.append(f"  {pair}, ratio within a round, half of the rounds: {shown}")
    for want in case["wanted"]:
        lines.append(f"  {page.wish(want)}")
    if case["wanted"]:
        lines.append(f"  {case['verdict']['text']}")
    if case["failures"]:
        lines.append(f"  FAILED REQUESTS: {case['failures']}")
    return "\n".join(lines)


def merged(runs: Sequence[Run]) -> Run:
    """One report of several of one machine; a case that several have is the last one's. Its time is the first one's."""
    if len(runs) == 1:
        return runs[0]
    facts = [{name: value for name, value in run["machine"].items() if name != "busy_before"} for run in runs]
    differ = sorted({name for one in facts for name in one if one.get(name) != facts[0].get(name)})
    if differ:
        raise ValueError(f"they are of different machines or versions ({', '.join(differ)}), and cannot be compared")
    cases = {case["name"]: case for run in runs for case in run["cases"]}
    settings = [run["settings"] for run in runs]
    return {
        "time": runs[0]["time"],
        "duration": sum(run["duration"] for run in runs),
        "machine": {**facts[0], "busy_before": max(run["machine"]["busy_before"] for run in runs)},
        "settings": settings[0] if all(one == settings[0] for one in settings) else {"of the parts": settings},
        "cases": list(cases.values()),
    }


def document(run: Run) -> str:
    """JSON, with what has no parts on one line, and no more digits than mean something."""
    short = json.loads(json.dumps(run), parse_float=lambda digits: float(f"{float(digits):.6g}"))
    text = json.dumps(short, indent=1)
    return re.sub(r"\{[^{}\[\]]*\}", lambda found: " ".join(found[0].split()), text) + "\n"


def write(folder: Path, run: Run, prefix: str = "", make: Callable[[Run], str] = page.whole) -> Path:
    """Both files; the path of the JSON one."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{prefix}{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.json"
    path.write_text(document(run))
    path.with_suffix(".html").write_text(make(run))
    return path
