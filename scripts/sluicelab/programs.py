"""Small C programs for what Python is too slow for: traffic by the hundred thousand, and the forwarder of the benchmarks."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .paths import SCRIPTS

SOURCES = SCRIPTS / "sluicelab" / "programs"


def compiled(source: Path | str, folder: Path, *libraries: str) -> Path:
    """The program that this source makes, in that folder; a name without a path is one of `sluicelab/programs`."""
    path = source if isinstance(source, Path) else SOURCES / f"{source}.c"
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / path.stem
    if not program.exists():
        command = ["cc", "-O2", "-Wall", "-Wextra", "-o", str(program), str(path), *libraries]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed; the scripts install gcc and libc6-dev, libpcap-dev:\n{done.stderr}")
    return program
