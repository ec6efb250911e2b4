"""Attacks at a small size: what `scripts/soak --case` runs at full size, with limits that a busy machine cannot miss."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sluicelab.dispatcher import Configuration, Dispatcher, configuration, pool, service
from sluicelab.network import FILES_ADDRESS, SOURCE_ADDRESS, server_address
from sluicelab.robustness import slowloris, syn_flood
from sluicelab.robustness.figures import Figures
from sluicelab.traffic import fewer_sources

PORT = 84
SLOW_READERS = 60


def configure() -> Configuration:
    servers = [f"{server_address(number)}:80" for number in (1, 2)]
    side = {"interface": "be0", "source-addresses": [SOURCE_ADDRESS], "connections-per-server": 128, "servers": 8}
    # An answer longer than the staging buffer keeps its connection as long as its reader takes: room for all slow readers, and others.
    return configuration(
        [service("files", f"{FILES_ADDRESS}:{PORT}", "files")], [pool("files", servers, connections=SLOW_READERS)], server_side=side
    )


NEEDS = ("file_servers",)


@pytest.fixture(autouse=True)
def _addresses() -> Iterator[None]:
    """Client1 has its promised addresses for the tests of other files."""
    yield
    fewer_sources()


def test_a_syn_flood_leaves_room_for_those_who_mean_it(dispatcher: Dispatcher, folder: Path, figures: Figures) -> None:
    syn_flood.run(dispatcher, FILES_ADDRESS, folder, figures, rate=20_000, seconds=5, first=2, new_rate=50, growth=1 << 20, port=PORT)


def test_slow_clients_hold_up_no_others(dispatcher: Dispatcher, folder: Path, figures: Figures) -> None:
    """Some of each; the others' requests are all answered, and most of them soon."""
    slowloris.run(
        dispatcher,
        FILES_ADDRESS,
        folder,
        figures,
        writers=300,
        readers=SLOW_READERS,
        seconds=3,
        rate=300,
        wanted=90,
        writer_ms=500,
        port=PORT,
    )
