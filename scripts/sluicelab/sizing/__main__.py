"""The command line of `scripts/sizing`."""

from __future__ import annotations

import argparse
import sys

from .measured import DOCS, read
from .model import Model, Wanted
from .tables import checks, constants, growth, needs, written

PAGE = DOCS / "performance.md"


def arguments(words: list[str]) -> argparse.Namespace:
    base = Wanted()
    parser = argparse.ArgumentParser(
        prog="scripts/sizing",
        description="What a deployment for so many devices and messages takes, by a model that is fitted to the reports in docs/.",
    )
    parser.add_argument("--devices", type=int, default=base.devices, help=f"connected at a time (default {base.devices:,})")
    parser.add_argument("--messages", type=float, default=base.messages, help=f"a second, each to one device (default {base.messages:,})")
    parser.add_argument("--size", type=int, default=base.size, help=f"bytes of a message (default {base.size})")
    parser.add_argument("--ping", type=float, default=base.ping, help=f"seconds between pings; 0: none (default {base.ping:g})")
    parser.add_argument("--loss", type=float, default=base.loss, help="percent of packets that are lost (default 0)")
    parser.add_argument("--reconnects", type=float, default=base.reconnects, help=f"of each device, a day (default {base.reconnects:g})")
    parser.add_argument("--load", type=float, default=base.load, help=f"share of a processor that may be used (default {base.load:g})")
    parser.add_argument("--devices-per-worker", type=int, default=0, help="default: what 20,000 descriptors allowed")
    parser.add_argument("--growth", action="store_true", help="also what a change of each of these does")
    parser.add_argument("--checks", action="store_true", help="also the constants, and the model beside every measured point")
    parser.add_argument("--write", action="store_true", help="write the tables of docs/performance.md anew, and end")
    chosen = parser.parse_args(words)
    if chosen.devices < 1 or chosen.messages < 0 or chosen.size < 0 or chosen.ping < 0 or chosen.reconnects < 0:
        parser.error("--devices is at least 1, and the others are not below 0")
    if not 0 <= chosen.loss < 50 or not 0 < chosen.load <= 1 or chosen.devices_per_worker < 0:
        parser.error("--loss is in 0...50, --load above 0 and at most 1, --devices-per-worker not below 0")
    return chosen


def main(words: list[str]) -> int:
    chosen = arguments(words)
    try:
        model = Model(read())
    except (OSError, ValueError, KeyError) as error:
        print(f"scripts/sizing: cannot read the reports in {DOCS}: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    if chosen.write:
        PAGE.write_text(written(PAGE.read_text(), model))
        return 0
    names = ("devices", "messages", "size", "ping", "loss", "reconnects", "load", "devices_per_worker")
    wanted = Wanted(**{name: getattr(chosen, name) for name in names})
    print(needs(model, wanted))
    if chosen.growth:
        print(f"\n8 workers to a store:\n\n{growth(model, wanted)}")
    if chosen.checks:
        print(f"\n{constants(model)}\n\n{checks(model)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
