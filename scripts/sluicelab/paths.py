"""Where things lie."""

from __future__ import annotations

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
SCRIPTS = PROJECT / "scripts"


def binary(name: str) -> Path:
    """A program of the package: from SLUICE_BINARIES, else from the release build (SWIFTPM_BUILD_DIR, else .build)."""
    given = os.environ.get("SLUICE_BINARIES")
    folder = Path(given) if given else Path(os.environ.get("SWIFTPM_BUILD_DIR", PROJECT / ".build")) / "release"
    path = folder / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there: scripts/test and scripts/demo build it")
    return path.resolve()
