"""The command line of `scripts/radio`, which builds before it comes here."""

from __future__ import annotations

import argparse
import difflib
import sys
import tempfile
from pathlib import Path

import charts
import tables
from days import KINDS
from exchanges import recorded
from measure import Days
from sluicelab.paths import PROJECT

STRIPS = {"ping-60": "many", "ping-240": "few", "wake-up": "wake"}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/radio", description="What a day of push messages costs a phone's radio: docs/radio.md.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 where the documents say something else")
    parser.add_argument("--record", action="store_true", help="record the exchanges anew first (root, tcpdump)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the captures of the days there")
    parser.add_argument("--docs", type=Path, metavar="DIR", default=PROJECT / "docs", help="the documents (default: docs/)")
    return parser.parse_args()


def documents(folder: Path, docs: Path) -> dict[Path, str]:
    """What the files should say."""
    exchanges = recorded()
    days = Days(folder, exchanges)
    idle, busy = ([days.measure(kind, has_messages) for kind in KINDS] for has_messages in (False, True))
    hours = [(kind, STRIPS[kind.key], days.hour(kind)) for kind in KINDS if kind.key in STRIPS]
    page = docs / "radio.md"
    return {
        page: tables.fill(page.read_text(), tables.blocks(days, exchanges, idle, busy)),
        docs / "radio-days.svg": charts.days_chart(idle, busy),
        docs / "radio-hour.svg": charts.hour_chart(hours),
    }


def check(wanted: dict[Path, str]) -> int:
    status = 0
    for path, text in wanted.items():
        there = path.read_text() if path.exists() else ""
        if there != text:
            status = 1
            print(f"{path.name} is not what scripts/radio makes; run scripts/radio to write it anew:")
            sys.stdout.writelines(list(difflib.unified_diff(there.splitlines(True), text.splitlines(True), "is", "should be", n=0))[:20])
    return status


def main() -> int:
    chosen = arguments()
    if chosen.record:
        import record  # needs packages that the rest does not

        record.record()
    with tempfile.TemporaryDirectory(prefix="sluice-radio-") as temporary:
        folder = Path(temporary)
        if chosen.keep:
            chosen.keep.mkdir(parents=True, exist_ok=True)
            folder = chosen.keep
        try:
            wanted = documents(folder, chosen.docs)
        except (OSError, RuntimeError, ValueError) as error:
            print(f"scripts/radio: {error}", file=sys.stderr)
            return 1
    if chosen.check:
        return check(wanted)
    for path, text in wanted.items():
        path.write_text(text)
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
