"""nginx as the file server behind the dispatcher, one in each server of the lab."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from .paths import SCRIPTS
from .processes import Process

CONFIGURATION = SCRIPTS / "sluicelab" / "nginx.conf"


def make_files(folder: Path, sizes: dict[str, int]) -> dict[str, bytes]:
    """Random files of those sizes; what is in them by name."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {name: os.urandom(size) for name, size in sizes.items()}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return contents


def make_big_file(path: Path, mebibytes: int) -> str:
    """A random file of that size; its SHA-256 in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for _ in range(mebibytes):
            piece = os.urandom(1 << 20)
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def start_nginx(host: str, folder: Path, files: Path) -> Process:
    """An nginx that serves those files on port 80 of that host; its working files go into the folder."""
    (folder / "temporary").mkdir(parents=True)
    (folder / "files").symlink_to(files)
    command: list[str | Path] = ["nginx", "-e", "error.log", "-p", folder, "-c", CONFIGURATION, "-g", "daemon off;"]
    process = Process(host, command, folder / "output.log")
    process.until(lambda: (folder / "nginx.pid").exists(), f"nginx in {host} to start", 5)
    return process
