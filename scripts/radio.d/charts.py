"""Charts as SVG files that suit light and dark pages: no script, nothing from elsewhere."""

from __future__ import annotations

import html
from collections.abc import Sequence

from days import KINDS, Kind
from measure import IDLE_DAY, STATES, Measured

WIDTH, LEFT, RIGHT, MARGIN = 760, 220, 64, 14
STYLE = """<style>
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-size: 14px; font-weight: 600 }
.small { font-size: 11px; fill: #57606a }
.page { fill: #ffffff } .grid { stroke: #d0d7de }
.idle { fill: #8c959f } .pch { fill: #2a9d8f } .fach { fill: #d9902f } .dch { fill: #b5483a }
.line { fill: none; stroke-width: 1.5 }
.line.many { stroke: #d9902f } .line.few { stroke: #2f6f9f } .line.wake { stroke: #2a9d8f }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117 }
text { fill: #e6edf3 } .small { fill: #9198a1 } .grid { stroke: #3d444d }
.idle { fill: #7d8590 } .pch { fill: #3fb8a8 } .fach { fill: #e0a458 } .dch { fill: #d1665a }
.line.many { stroke: #e0a458 } .line.few { stroke: #6cb0e0 } .line.wake { stroke: #3fb8a8 }
}
</style>"""


def text(x: float, y: float, content: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{html.escape(content)}</text>'


def svg(height: float, title: str, parts: Sequence[str]) -> str:
    """With a ground and a margin of its own: a page's colours may differ from those that the reader's system prefers."""
    left, top, width, whole = -MARGIN, -MARGIN, WIDTH + 2 * MARGIN, round(height) + 2 * MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{left} {top} {width} {whole}" width="{width}" height="{whole}" role="img">',
            f"<title>{html.escape(title)}</title>",
            STYLE,
            f'<rect x="{left}" y="{top}" width="{width}" height="{whole}" rx="6" class="page"/>',
            *parts,
            "</svg>\n",
        ]
    )


def days_chart(idle: Sequence[Measured], busy: Sequence[Measured]) -> str:
    """Bars of units in thousands, by state, for both days."""
    title = "Relative units of the radio in a day, in thousands"
    top = max(one.units for one in [*idle, *busy])
    scale = (WIDTH - LEFT - RIGHT) / top
    parts = [text(0, 16, title, "title")]
    x = float(LEFT)
    for state in STATES:
        parts += [f'<rect x="{x}" y="26" width="11" height="11" class="{state}"/>', text(x + 16, 36, state.upper(), "small")]
        x += 64
    y = 58.0
    for name, measured in (("An idle day", idle), ("A day with 20 messages", busy)):
        parts.append(text(0, y, name, "title"))
        y += 10
        for kind, one in zip(KINDS, measured):
            parts.append(text(LEFT - 8, y + 13, kind.label, "", "end"))
            at = float(LEFT)
            for state in STATES:
                width = one.state_units(state) * scale
                parts.append(f'<rect x="{at:.2f}" y="{y:.1f}" width="{width:.2f}" height="17" class="{state}"/>')
                at += width
            parts.append(text(at + 6, y + 13, f"{one.units / 1000:,.0f}", "small"))
            y += 24
        y += 24
    x = LEFT + IDLE_DAY * scale
    parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="46" y2="{y - 30:.1f}" class="grid" stroke-dasharray="3 3"/>')
    parts.append(text(x, y - 16, "a radio that is IDLE all day", "small", "middle"))
    return svg(y, title, parts)


def hour_chart(hours: Sequence[tuple[Kind, str, Measured]]) -> str:
    """Units a second through an hour, a strip for each way to stay reachable."""
    title = "Units a second from 9 to 10 o'clock; a message comes at 9:29"
    strip, gap = 90.0, 34.0

    def level_at(top: float, units: float) -> float:
        return top + strip - units / 100 * strip

    parts = [text(0, 16, title, "title")]
    y = 34.0
    for kind, style, one in hours:
        begin, length = one.whole["from"], one.whole["until"] - one.whole["from"]
        parts.append(text(0, y + 8, kind.label))
        parts.append(text(0, y + 24, f"{one.units:,.0f} units", "small"))
        for level, name in ((0.0, "0"), (40.0, "40 FACH"), (100.0, "100 DCH")):
            at = level_at(y, level)
            parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" class="grid"/>')
            parts.append(text(WIDTH - RIGHT + 6, at + 4, name, "small"))
        points: list[str] = []
        before = None
        for use in one.timeline:
            x = LEFT + (use["from"] - begin) / length * (WIDTH - LEFT - RIGHT)
            if use["averageUnits"] != before:
                points += [f"{x:.1f},{level_at(y, value):.1f}" for value in (before, use["averageUnits"]) if value is not None]
                before = use["averageUnits"]
        points.append(f"{WIDTH - RIGHT},{level_at(y, before or 0):.1f}")
        parts.append(f'<polyline points="{" ".join(points)}" class="line {style}"/>')
        y += strip + gap
    for minute in range(0, 61, 10):
        x = LEFT + minute / 60 * (WIDTH - LEFT - RIGHT)
        parts.append(text(x, y - gap + 16, f"9:{minute:02}" if minute < 60 else "10:00", "small", "middle"))
    return svg(y, title, parts)
