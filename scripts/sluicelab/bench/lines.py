"""Lines in a page: inline SVG, no script and nothing from elsewhere."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

COLOURS = ("#7a7a7a", "#c97b2a", "#b5483a", "#c9a12a", "#5b8c5a", "#2f6f9f", "#7b4fa0", "#2a9d9d")
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 520, 300, 62, 42, 26, 14


@dataclass(frozen=True)
class Line:
    name: str
    points: Sequence[tuple[float, float]]
    colour: str
    dots: bool = False  # points only


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from low to high, at about so many places."""
    if high <= low:
        return [low]
    raw = (high - low) / count
    size = 10 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= raw)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def number(value: float) -> str:
    return f"{value:,.10g}" if value >= 1000 or value == int(value) else f"{value:.3g}"


def chart(
    title: str,
    across: str,
    lines: Sequence[Line],
    log_x: bool = False,
    marks: Sequence[tuple[float, str]] = (),
    levels: Sequence[tuple[float, str]] = (),
) -> str:
    """Lines over a common scale that begins at 0; `marks` are moments, `levels` heights, each with its name."""
    every = [point for line in lines for point in line.points]
    if not every:
        return ""
    left, right = min(x for x, _ in every), max(x for x, _ in every)
    top = max([y for _, y in every] + [y for y, _ in levels]) * 1.05 or 1.0
    left = left if log_x else min(0.0, left)

    def place(x: float, y: float) -> tuple[float, float]:
        if log_x:
            part = math.log(x / left) / math.log(right / left) if right > left else 0.5
        else:
            part = (x - left) / (right - left) if right > left else 0.5
        return LEFT + part * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y / top * (HEIGHT - BOTTOM - TOP)

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{html.escape(title)}">',
        f'<text x="0" y="13" class="title">{html.escape(title)}</text>',
    ]
    for y in ticks(0, top):
        _, at = place(right, y)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" class="axis" text-anchor="end">{number(y)}</text>')
    for x in sorted({x for line in lines for x, _ in line.points}) if log_x else ticks(left, right, 7):
        at, _ = place(x, 0)
        parts.append(f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 16}" class="axis" text-anchor="middle">{number(x)}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH) / 2:.0f}" y="{HEIGHT - 6}" class="axis" text-anchor="middle">{html.escape(across)}</text>')
    for x, name in marks:
        at, _ = place(x, 0)
        parts.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" class="mark"><title>{html.escape(name)}</title></line>'
        )
    for y, name in levels:
        _, at = place(right, y)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" class="mark"><title>{html.escape(name)}</title></line>'
        )
    for line in lines:
        placed = [place(x, y) for x, y in line.points]
        if not line.dots:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
            parts.append(
                f'<polyline points="{path}" fill="none" stroke="{line.colour}" stroke-width="1.8"><title>{html.escape(line.name)}</title></polyline>'
            )
        if line.dots or len(placed) <= 24:
            for (x, y), (was_x, was_y) in zip(placed, line.points):
                tip = f"{line.name}: {number(round(was_x, 3))}, {number(round(was_y, 3))}"
                parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{line.colour}"><title>{html.escape(tip)}</title></circle>')
    return "\n".join([*parts, "</svg>"])


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """Names in their colours."""
    return (
        '<p class="legend">'
        + " ".join(f'<span style="color:{colour}">&#9632; {html.escape(name)}</span>' for name, colour in entries)
        + "</p>"
    )
