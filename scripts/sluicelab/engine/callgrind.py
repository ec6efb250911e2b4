"""What callgrind has written: instructions by function, and who called whom how often."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

_NAME = re.compile(r"\((\d+)\)(?: (.*))?")
_COST = re.compile(r"^(?:[+-]?\d+|\*) (\d+)$")


@dataclass
class Profile:
    """Instructions that each function executed itself, and calls by (caller, callee), as the linker names functions."""

    own: dict[str, int] = field(default_factory=dict)
    calls: dict[tuple[str, str], int] = field(default_factory=dict)
    inclusive: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.own.values())

    def called(self, function: str) -> int:
        """How often a function was called."""
        return sum(count for (_, callee), count in self.calls.items() if callee == function)

    def callers(self, function: str) -> list[tuple[str, int, int]]:
        """Who called it: name, calls, instructions below it; those that cost most first."""
        found = [(caller, count, self.inclusive[caller, callee]) for (caller, callee), count in self.calls.items() if callee == function]
        return sorted(found, key=lambda row: -row[2])

    def top(self, count: int) -> list[tuple[str, int]]:
        """The functions with the most instructions of their own."""
        return sorted(self.own.items(), key=lambda row: -row[1])[:count]


def _name(text: str, names: dict[str, str]) -> str:
    """A name that may be given by its number, once it was given in full."""
    match = _NAME.fullmatch(text)
    if not match:
        return text
    number, name = match.groups()
    if name is not None:
        names[number] = name
    return names[number]


def read(path: Path) -> Profile:
    """The profile in a file that `valgrind --tool=callgrind` has written."""
    profile, names = Profile(), dict[str, str]()
    function = callee = ""
    is_call = False
    for line in path.read_text(errors="replace").splitlines():
        if line.startswith("fn="):
            function = _name(line[3:], names)
        elif line.startswith("cfn="):
            callee = _name(line[4:], names)
        elif line.startswith("calls="):
            is_call = True
            key = (function, callee)
            profile.calls[key] = profile.calls.get(key, 0) + int(line[6:].split()[0])
        elif match := _COST.match(line):
            cost = int(match.group(1))
            if is_call:
                profile.inclusive[function, callee] = profile.inclusive.get((function, callee), 0) + cost
            else:
                profile.own[function] = profile.own.get(function, 0) + cost
            is_call = False
    return profile


def plain(names: list[str]) -> list[str]:
    """Names of Swift functions as they are written, without their modules' and private names; others stay as they are."""
    try:
        run = subprocess.run(["swift", "demangle", "--simplified", "--compact"], input="\n".join(names), capture_output=True, text=True)
    except OSError:
        return names
    found = run.stdout.splitlines()
    if run.returncode != 0 or len(found) != len(names):
        return names
    return [re.sub(r"^(?:(?:function signature|generic) specialization [^$]*? of |specialized )+", "", name) for name in found]
