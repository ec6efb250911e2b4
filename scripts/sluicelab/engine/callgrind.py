"""What callgrind has written: instructions by function, and what they cost together."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

_NAME = re.compile(r"\((\d+)\)(?: (.*))?")
_COST = re.compile(r"^(?:[+-]?\d+|\*) (\d+)$")
_SPECIALIZED = re.compile(r"^(?:(?:function signature|generic) specialization .*? of |specialized )+")


@dataclass
class Profile:
    """Instructions that each function executed itself, as the linker names functions."""

    own: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.own.values())

    def top(self, count: int) -> list[tuple[str, int]]:
        """The functions with the most instructions of their own, as a person writes their names."""
        rows = sorted(self.own.items(), key=lambda row: -row[1])[:count]
        return list(zip(plain([name for name, _ in rows]), [cost for _, cost in rows], strict=True))


def _name(text: str, names: dict[str, str]) -> str:
    """A name that may be given by its number, once it was given in full."""
    match = _NAME.fullmatch(text)
    if not match:
        return text
    number, name = match.groups()
    if name is not None:
        names[number] = name
    return names[number]


def parse(text: str) -> Profile:
    """The profile in what `valgrind --tool=callgrind` has written."""
    profile, names = Profile(), dict[str, str]()
    function = ""
    is_call = False
    for line in text.splitlines():
        if line.startswith("fn="):
            function = _name(line[3:], names)
        elif line.startswith("cfn="):
            _name(line[4:], names)
        elif line.startswith("calls="):
            is_call = True  # the line that follows is the cost below the call, which the functions there have themselves
        elif match := _COST.match(line):
            if not is_call:
                profile.own[function] = profile.own.get(function, 0) + int(match.group(1))
            is_call = False
    return profile


def read(path: Path) -> Profile:
    return parse(path.read_text(errors="replace"))


def plain(names: list[str]) -> list[str]:
    """Swift's names as a person writes them, if there is a Swift to ask."""
    if shutil.which("swift") is None:
        return names
    done = subprocess.run(
        ["swift", "demangle", "--simplified", "--compact"], input="\n".join(names), capture_output=True, text=True, timeout=60
    )
    found = done.stdout.splitlines()
    return [_SPECIALIZED.sub("", name) for name in found] if len(found) == len(names) else names
