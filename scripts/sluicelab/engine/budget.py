"""How many instructions each exchange may take: `budget.json`, which `scripts/bench engine --set-budget` writes."""

from __future__ import annotations

import json
from pathlib import Path

FILE = Path(__file__).with_name("budget.json")
MARGIN = 0.03  # a case may take so much more, and should get a new budget when it takes so much less


def load() -> dict[str, int]:
    """Instructions an exchange, by case."""
    found = json.loads(FILE.read_text())["instructions_per_exchange"]
    return {str(name): int(count) for name, count in found.items()}


def save(counts: dict[str, int]) -> None:
    FILE.write_text(json.dumps({"instructions_per_exchange": counts}, indent=2) + "\n")


def most(budget: int) -> int:
    return int(budget * (1 + MARGIN))


def least(budget: int) -> int:
    return int(budget * (1 - MARGIN))
