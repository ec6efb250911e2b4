"""Accidents at a small size: what `scripts/soak --case` runs at full size. Each test starts dispatchers of its own."""

from __future__ import annotations

from pathlib import Path

from conftest import started
from sluicelab.dispatcher import Dispatcher, configuration, pool, service
from sluicelab.network import FILES_ADDRESS
from sluicelab.robustness import kill_server, kill_workers, restart
from sluicelab.robustness.figures import Figures

PORT = 85


def test_a_server_that_dies_harms_only_its_own(lab: None, folder: Path, figures: Figures) -> None:
    process = Dispatcher(folder / "dispatcher", kill_server.configure())
    started.append(process)
    try:
        kill_server.run(process, folder, figures, seconds=8, clients=8)
    finally:
        process.stop()
        started.remove(process)


def test_a_restart_serves_at_once_and_resets_the_past(file_servers: list[str], folder: Path, figures: Figures) -> None:
    """On the same ports, though the servers still hold the old connections."""
    config = configuration([service("again", f"{FILES_ADDRESS}:{PORT}", "again")], [pool("again", file_servers)])
    # One old connection in some thousand looks as if its handshake were still on its way (half of a SYN cookie fits by chance).
    restart.run(config, FILES_ADDRESS, folder, figures, times=1, clients=12, port=PORT, silent=1)


def test_no_accepted_message_is_lost_with_a_worker(lab: None, folder: Path, figures: Figures) -> None:
    process = Dispatcher(folder / "dispatcher", kill_workers.configure(workers=2))
    started.append(process)
    try:
        kill_workers.run(process, folder, figures, messages=1_000, devices=20, seed=1, workers=2)
    finally:
        process.stop()
        started.remove(process)
