"""What a scenario measured beside what was wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    what: str
    got: float | str
    wanted: str = ""  # empty: only for information
    reached: bool = True

    def __str__(self) -> str:
        got = self.got if isinstance(self.got, str) else f"{self.got:,.10g}"
        verdict = f"  (wanted: {self.wanted}: {'reached' if self.reached else 'MISSED'})" if self.wanted else ""
        return f"{self.what}: {got}{verdict}"


@dataclass
class Figures:
    """All of a scenario's, told as they come."""

    tell: Callable[[str], None] = print
    all: list[Figure] = field(default_factory=list)

    def note(self, what: str, got: float | str) -> None:
        self._add(Figure(what, got))

    def at_most(self, what: str, got: float, most: float, unit: str = "") -> None:
        self._add(Figure(what, round(got, 4), f"at most {most:,g} {unit}".rstrip(), got <= most))

    def at_least(self, what: str, got: float, least: float, unit: str = "") -> None:
        self._add(Figure(what, round(got, 4), f"at least {least:,g} {unit}".rstrip(), got >= least))

    def true(self, what: str, holds: bool, detail: str = "") -> None:
        self._add(Figure(what, detail or ("yes" if holds else "no"), "yes", holds))

    def _add(self, figure: Figure) -> None:
        self.all.append(figure)
        self.tell(f"  {figure}")

    @property
    def missed(self) -> list[str]:
        return [str(figure) for figure in self.all if not figure.reached]

    def document(self) -> list[dict[str, Any]]:
        return [{"what": f.what, "got": f.got, "wanted": f.wanted, "reached": f.reached} for f in self.all]
