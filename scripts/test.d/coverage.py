"""Prints the table of what the engines of the package's tests have counted; exit code 1 when a counter that must not be zero is.

The files, one for each run of the tests, come from Tests/DispatcherCoreTests/Simulation/Coverage.swift: a row a line, with its name, its
count, and why it may be zero. The counts are added up.
"""

from __future__ import annotations

import sys
from pathlib import Path

COLUMNS = 3
FORBIDDEN = "must be 0"


def main() -> int:
    counts: dict[str, tuple[int, str]] = {}
    for path in map(Path, sys.argv[1:]):
        if not path.is_file():
            print(f"expected: the tests leave their counts in {path}; got: no such file (did they end before the last one?)")
            return 1
        for line in path.read_text().splitlines():
            name, count, excuse = line.split("\t")
            counts[name] = (int(count) + counts.get(name, (0, ""))[0], excuse)
    rows = [(name, count, excuse) for name, (count, excuse) in counts.items()]
    cells = [f"{count:>13,}  {name}" for name, count, _ in rows]
    height = -(-len(cells) // COLUMNS)
    for place in range(height):
        print("".join(f"{cell:<60}" for cell in cells[place::height]).rstrip())
    missing = [name for name, count, excuse in rows if not count and not excuse]
    wrong = [name for name, count, excuse in rows if count and excuse == FORBIDDEN]
    excused = [(name, excuse) for name, count, excuse in rows if not count and excuse and excuse != FORBIDDEN]
    for name, excuse in excused:
        print(f"zero, as it may be: {name} ({excuse})")
    for name in missing:
        print(f"expected: some test reaches '{name}'; got: none does")
    for name in wrong:
        print(f"expected: '{name}' stays 0; got: it does not")
    print(f"{len(rows)} counters, {len(rows) - len(missing) - len(excused)} above zero or rightly zero, {len(missing) + len(wrong)} wrong")
    return 1 if missing or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
