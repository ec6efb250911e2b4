"""Bars in a page: inline SVG, no script and nothing from elsewhere."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from .lines import number, ticks

WIDTH, LEFT, RIGHT, TOP, STEP, THICK, BOTTOM = 460, 120, 40, 24, 22, 14, 22
COLOURS = {"sluice": "#2f6f9f", "haproxy": "#c97b2a", "nginx": "#5b8c5a", "forwarder": "#8c5b7f"}
OTHER = "#8a8a8a"


@dataclass(frozen=True)
class Bar:
    name: str
    value: float  # the median
    low: float  # the quartiles
    high: float
    least: float
    most: float


def colour(name: str) -> str:
    """Kin have one colour: sluice-raw that of sluice."""
    return COLOURS.get(name.split("-")[0], OTHER)


def chart(title: str, bars: Sequence[Bar], marks: Sequence[tuple[float, str]] = ()) -> str:
    """Lying bars from 0 with their spread; `marks` are values, each with its name."""
    right = max([bar.most for bar in bars] + [value for value, _ in marks] + [1.0]) * 1.02
    height = TOP + STEP * len(bars) + BOTTOM

    def x(value: float) -> float:
        return LEFT + value / right * (WIDTH - LEFT - RIGHT)

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-label="{html.escape(title)}">',
        f'<text x="0" y="13" class="title">{html.escape(title)}</text>',
    ]
    for value in ticks(0, right):
        kind = "one" if value == 1 else "grid"
        parts.append(f'<line x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{TOP}" y2="{height - BOTTOM}" class="{kind}"/>')
        parts.append(f'<text x="{x(value):.1f}" y="{height - 8}" class="axis" text-anchor="middle">{number(round(value, 6))}</text>')
    for place, bar in enumerate(bars):
        top = TOP + place * STEP + 4
        middle = top + THICK / 2
        tip = f"{bar.name}: {bar.value:.2f}, half of the rounds {bar.low:.2f} to {bar.high:.2f}, all {bar.least:.2f} to {bar.most:.2f}"
        parts += [
            f'<text x="{LEFT - 6}" y="{top + 11}" class="axis" text-anchor="end">{html.escape(bar.name)}</text>',
            f'<rect x="{LEFT}" y="{top}" width="{x(bar.value) - LEFT:.1f}" height="{THICK}" fill="{colour(bar.name)}">'
            f"<title>{html.escape(tip)}</title></rect>",
            f'<line x1="{x(bar.least):.1f}" x2="{x(bar.most):.1f}" y1="{middle}" y2="{middle}" class="spread" opacity="0.5"/>',
            f'<line x1="{x(bar.low):.1f}" x2="{x(bar.high):.1f}" y1="{middle}" y2="{middle}" class="spread" style="stroke-width: 5"/>',
            f'<text x="{x(max(bar.most, bar.value)) + 4:.1f}" y="{top + 11}" class="axis">{bar.value:.2f}</text>',
        ]
    for value, name in marks:
        parts.append(
            f'<line x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{TOP}" y2="{height - BOTTOM}" class="mark"><title>{html.escape(name)}</title></line>'
        )
    return "\n".join([*parts, "</svg>"])
