"""Bad cables for tests: what `scripts/lab impair` does, with what the wire did to each segment, and an end."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import TracebackType

from .paths import SCRIPTS
from .wire import Event


class BadCable:
    """A cable of the lab is bad until the block ends. Faults by the names of `scripts/lab impair`: loss=5, reorder=1, delay="5ms"."""

    def __init__(self, cable: str, log: Path, **faults: float | str) -> None:
        self.cable, self.log = cable, log
        self._words = [word for name, value in faults.items() for word in (f"--{name.replace('_', '-')}", str(value))]

    def __enter__(self) -> BadCable:
        self.log.unlink(missing_ok=True)
        # A wire without faults, too, is a wire: frames have the size of real ones, and whole checksums.
        words = self._words or ["--loss", "0"]
        subprocess.run([SCRIPTS / "lab", "impair", self.cable, *words, "--log", self.log], check=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        subprocess.run([SCRIPTS / "lab", "heal", self.cable], check=True)

    @property
    def events(self) -> list[Event]:
        """What it did to TCP segments so far."""
        if not self.log.exists():
            return []
        return [Event.parse(line) for line in self.log.read_text().splitlines()]


class LossyCable:
    """Frames are lost in the kernel, at full speed, until the block ends; none is larger than the MTU meanwhile, as on a real cable.

    Chance is a percentage for each direction. It must be there before a dispatcher starts that is to see the device as it then is.
    """

    def __init__(self, cable: str, chance: str) -> None:
        self.cable, self.chance = cable, chance

    @staticmethod
    def _whole_segments(switch: str) -> None:
        for host, interface in (("client1", "eth0"), ("dispatcher", "fe0"), ("router", "eth0")):
            subprocess.run(["ip", "netns", "exec", f"sluice-{host}", "ethtool", "-K", interface, "tso", switch], check=True)

    def __enter__(self) -> LossyCable:
        self._whole_segments("off")
        subprocess.run([SCRIPTS / "lab", "impair", self.cable, "--fast-loss", self.chance], check=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        subprocess.run([SCRIPTS / "lab", "heal", self.cable], check=True)
        self._whole_segments("on")
