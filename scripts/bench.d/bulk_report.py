"""The report of `scripts/bench bulk`: JSON, an HTML page with charts."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from sluicelab.bench import bars, page, report, report_html
from sluicelab.bench.bulk import most_held
from sluicelab.bench.cases import PROCESSOR_GB
from sluicelab.bench.lines import Line, chart, legend

NAMES = [
    "streams",
    "contender",
    "stalls",
    "streams that stalled",
    "wrong or broken",
    "MB/s",
    "CPU s/GB",
    "start p99 ms",
    "machine busy",
    "held",
]


def cells(step: dict[str, Any]) -> list[str]:
    used = step[PROCESSOR_GB]
    return [
        f"{step['streams']:,}",
        html.escape(step["contender"]),
        *(f"{step[name]:,.0f}" for name in ("stalls", "stalled_streams", "failures", "megabytes_per_second")),
        page.KERNELS if used is None else f"{used:.2f}",
        f"{step['start_ms_p99']:,.0f}",
        f"{step['machine_busy']:.0%}",
        "yes" if step["held"] else "no",
    ]


def _rising(run: dict[str, Any]) -> str:
    if not run["rising"]:
        return ""
    case = run["cases"][0]
    best = most_held(run["rising"], case)
    spread = [bars.Bar(name, count, count, count, count, count) for name, count in best.items()]
    # Two contenders of one kin have one colour as bars; as lines each needs its own.
    colours = {name: bars.colour(name) for name in best} | {"sluice-l43": "#7b4fa0"}
    used = []
    for name in best:
        steps = [step for step in run["rising"] if step["contender"] == name and step[PROCESSOR_GB] is not None]
        if steps:
            first = (float(case["settings"]["streams"]), case["medians"][name][PROCESSOR_GB])
            used.append(Line(name, [first, *((float(step["streams"]), step[PROCESSOR_GB]) for step in steps)], colours[name]))
    stalled = [
        Line(
            name,
            [(float(step["streams"]), float(step["stalled_streams"])) for step in run["rising"] if step["contender"] == name],
            colours[name],
        )
        for name in best
    ]
    return "\n".join(
        [
            "<h2>More and more streams</h2>",
            "<p>Each number is tried once, and once more when somebody stalls, gets a wrong answer, or waits for more than 5 s to begin (p99); "
            "who then does so again is not tried with more.</p>",
            bars.chart("the most streams without a stall", spread),
            chart("streams that stalled", "streams", [line for line in stalled if line.points]),
            chart("processor time of the contender, s for each GB", "streams", used),
            legend(list(colours.items())),
            report_html.table(NAMES, [cells(step) for step in run["rising"]]),
        ]
    )


def whole(run: dict[str, Any]) -> str:
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sluice: bulk</title>
<style>{page.STYLE}</style>
<h1>Videos that are played</h1>
<p>Players take a video of 4 Mbit/s each, in ranges of 1 MiB over connections that are kept, and play it in real time. A stall is when one that
plays has nothing left. Servers, players and contender share one small machine. CPU is the contender's own user and system time; of direct it is the
kernel's, and no process can be charged with it.</p>
{report_html.figures(run)}
{page.section(run["cases"][0])}
{_rising(run)}
{page.about(run)}
</html>
"""


def write(folder: Path, run: dict[str, Any]) -> Path:
    """Both files; the path of the JSON one."""
    return report.write(folder, run, "bulk-", whole)
