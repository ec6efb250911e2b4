"""Raising and removing the lab. The work is done by `scripts/lab`; names and addresses are in docs/lab.md."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from typing import IO

from .paths import SCRIPTS

CLIENT1, CLIENT2 = "10.77.1.11", "10.77.3.11"
PUSH_ADDRESS, FILES_ADDRESS = "10.77.1.100", "10.77.1.101"
SOURCE_ADDRESS = "10.77.2.200"
# The same over IPv6; the lab has one service address of it.
CLIENT1_V6, CLIENT2_V6 = "fd77:1::11", "fd77:3::11"
SERVICE_ADDRESS_V6 = "fd77:1::100"
SOURCE_ADDRESS_V6 = "fd77:2::200"
# A mobile operator: where its NS-WakeUp takes orders, and a device in its private network.
OPERATOR1_ORDERS = "10.77.2.31"
DEVICE1, DEVICE1_V6 = "10.77.4.11", "fd77:4::11"
HOLDER_FILE = "/run/sluice-lab.run"
_held: list[IO[str]] = []


def server_address(number: int) -> str:
    return f"10.77.2.{10 + number}"


def server_address_v6(number: int) -> str:
    return f"fd77:2::{10 + number}"


def hold(what: str, patience: float = 900) -> None:
    """Makes this process the only user of the lab until it ends; a script that holds it already says so in SLUICE_LAB_HELD."""
    if os.environ.get("SLUICE_LAB_HELD"):
        return
    file = open(HOLDER_FILE, "a+", encoding="utf-8")  # close-on-exec, so that no child holds it on
    deadline, told = time.monotonic() + patience, False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            file.seek(0)
            holder = file.readline().strip()
            if time.monotonic() > deadline:
                raise TimeoutError(f"the lab is in use by {holder}") from None
            if not told:
                print(f"the lab is in use by {holder}: waiting for it", file=sys.stderr, flush=True)
                told = True
            time.sleep(0.5)
    file.truncate(0)
    print(f"{what} (process {os.getpid()})", file=file, flush=True)
    os.environ["SLUICE_LAB_HELD"] = str(os.getpid())
    _held.append(file)


def up(servers: int = 2) -> None:
    subprocess.run([SCRIPTS / "lab", "up", "--servers", str(servers)], check=True)


def down() -> None:
    subprocess.run([SCRIPTS / "lab", "down"], check=True)
