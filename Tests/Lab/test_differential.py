"""M10: the same segments to a listening socket of Linux and to the dispatcher. Where they answer otherwise, docs/tcp.md says why."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import Backend, Exchange
from conftest import BACKEND_PORT
from differential import GATEWAY, STRANGER, Peer, Script, played
from frames import ACK, FIN, PUSH, RST, SYN, URGENT, hardware_address
from sluicelab.dispatcher import Configuration, Dispatcher, configuration, pool, service
from sluicelab.network import CLIENT1, FILES_ADDRESS, server_address

PORT, CLOSED = 86, 87
MSS, SACK, SCALE, TIMES = b"\x02\x04\x05\xb4", b"\x04\x02\x01\x01", b"\x03\x03\x07\x01", b"\x08\x0a\0\0\0\1\0\0\0\0\1\1"
ROOT = Path(__file__).resolve().parents[2]


def configure() -> Configuration:
    server = f"{server_address(1)}:{BACKEND_PORT}"
    return configuration([service("same", f"{FILES_ADDRESS}:{PORT}", "same")], [pool("same", [server])], tcp={"acknowledge": "immediate"})


@pytest.fixture(scope="module")
def linux(lab: None) -> Iterator[Backend]:
    """A listening socket of the kernel, in the dispatcher's host, which knows where the stranger is."""
    station = ":".join(f"{byte:02x}" for byte in hardware_address(CLIENT1))
    neighbour = ["ip", "-n", "sluice-dispatcher", "neighbour"]
    subprocess.run([*neighbour, "replace", STRANGER, "lladdr", station, "dev", "fe0", "nud", "permanent"], check=True)
    server = Backend("dispatcher", GATEWAY, PORT)
    yield server
    server.stop()
    subprocess.run([*neighbour, "delete", STRANGER, "dev", "fe0"], check=True)


# MARK: Opening


def handshake(peer: Peer) -> None:
    peer.open()
    peer.ask()


def all_options(peer: Peer) -> None:
    peer.open(MSS + SACK + SCALE)
    peer.ask()


def no_option(peer: Peer) -> None:
    peer.open(b"")
    peer.ask()


def unknown_option(peer: Peer) -> None:
    peer.open(b"\xfd\x06\0\0\0\0\x01\x01" + MSS)
    peer.ask()


def options_behind_the_end(peer: Peer) -> None:
    peer.open(MSS + b"\x00" + SACK[:3])
    peer.ask()


def scale_too_large(peer: Peer) -> None:
    peer.open(MSS + b"\x03\x03\x0f\x01")
    peer.ask()


def timestamps(peer: Peer) -> None:
    peer.send(SYN, options=MSS + TIMES)


def ecn(peer: Peer) -> None:
    peer.send(SYN | 0xC0, options=MSS)


def repeated_syn(peer: Peer) -> None:
    peer.send(SYN, options=MSS)
    peer.send(SYN, options=MSS, ahead=-1)
    peer.send(ACK)
    peer.ask()


def data_instead_of_the_last_ack(peer: Peer) -> None:
    peer.send(SYN, options=MSS)
    peer.ask()


def wrong_ack_of_the_syn(peer: Peer) -> None:
    peer.send(SYN, options=MSS)
    peer.send(ACK, ack=-1)


def fin_with_the_last_ack(peer: Peer) -> None:
    peer.send(SYN, options=MSS)
    peer.send(ACK | FIN)


def syn_with_data(peer: Peer) -> None:
    peer.send(SYN, b"GET / HTTP/1.1\r\n", options=MSS, moves=False)


def reset_while_opening(peer: Peer) -> None:
    peer.send(SYN, options=MSS)
    peer.send(RST)


# MARK: To no connection


def ack_to_nothing(peer: Peer) -> None:
    peer.send(ACK)


def data_to_nothing(peer: Peer) -> None:
    peer.ask()


def fin_to_nothing(peer: Peer) -> None:
    peer.send(FIN)
    peer.send(FIN | ACK)


def reset_to_nothing(peer: Peer) -> None:
    peer.send(RST)
    peer.send(RST | ACK)


def syn_ack_to_nothing(peer: Peer) -> None:
    peer.send(SYN | ACK)


def no_flag_to_nothing(peer: Peer) -> None:
    peer.send(0)


def impossible_flags(peer: Peer) -> None:
    peer.send(SYN | FIN, options=MSS, moves=False)
    peer.send(SYN | RST, options=MSS, moves=False)
    peer.send(FIN | PUSH | URGENT, moves=False)


def to_a_closed_port(peer: Peer) -> None:
    peer.port = CLOSED
    peer.send(SYN, options=MSS, moves=False)
    peer.send(ACK)
    peer.send(RST)


# MARK: In a connection


def wrong_checksum(peer: Peer) -> None:
    peer.open()
    peer.ask(wrong_checksum=True, moves=False)
    peer.ask()


def out_of_order(peer: Peer) -> None:
    peer.open()
    text = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
    peer.send(ACK, text[10:20], ahead=10)
    peer.send(ACK, text[20:], ahead=20)
    peer.send(ACK, text[:10])
    peer.next += len(text) - 10
    peer.send(ACK)


def overlapping(peer: Peer) -> None:
    peer.open()
    text = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
    peer.send(ACK, text[:15])
    peer.send(ACK, text[5:], ahead=-10)
    peer.next += len(text) - 15
    peer.send(ACK)


def repeated_request(peer: Peer) -> None:
    peer.open()
    peer.ask()
    peer.send(ACK)
    peer.ask(ahead=-29)


def keep_alive(peer: Peer) -> None:
    peer.open()
    peer.ask()
    peer.send(ACK)
    peer.send(ACK, ahead=-1)
    peer.send(ACK, b"\0", ahead=-1)


def beyond_the_window(peer: Peer) -> None:
    peer.open()
    peer.send(ACK, b"x" * 10, ahead=1_000_000)


def before_the_window(peer: Peer) -> None:
    peer.open()
    peer.send(ACK, b"x" * 10, ahead=-500_000)


def acknowledges_what_was_never_sent(peer: Peer) -> None:
    peer.open()
    peer.send(ACK, ack=5_000)
    peer.ask()


def very_old_acknowledgement(peer: Peer) -> None:
    peer.open()
    peer.send(ACK, b"x", ack=-1_000_000_000, moves=False)


def no_acknowledgement_flag(peer: Peer) -> None:
    peer.open()
    peer.send(0, b"GET ", moves=False)
    peer.send(PUSH, b"GET ", moves=False)


def inexact_reset(peer: Peer) -> None:
    peer.open()
    peer.send(RST, ahead=100)
    peer.ask()


def far_reset(peer: Peer) -> None:
    peer.open()
    peer.send(RST, ahead=1_000_000)
    peer.ask()


def exact_reset(peer: Peer) -> None:
    peer.open()
    peer.send(RST)
    peer.send(ACK)


def syn_in_a_connection(peer: Peer) -> None:
    peer.open()
    peer.send(SYN, ahead=1_000, options=MSS)
    peer.ask()


def syn_ack_in_a_connection(peer: Peer) -> None:
    peer.open()
    peer.send(SYN | ACK, ahead=-1)
    peer.ask()


def urgent(peer: Peer) -> None:
    peer.open()
    peer.send(ACK | PUSH | URGENT, b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")


# MARK: Closing


def half_close(peer: Peer) -> None:
    peer.open()
    peer.send(ACK | PUSH | FIN, b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n", wait=0.4)
    peer.send(ACK)


def fin_of_an_idle_connection(peer: Peer) -> None:
    peer.open()
    peer.ask()
    peer.send(ACK)
    peer.send(ACK | FIN, wait=0.3)
    peer.send(ACK)
    peer.send(ACK)


def fin_before_its_time(peer: Peer) -> None:
    peer.open()
    peer.send(ACK | FIN, ahead=28)
    peer.ask()


def server_closes(peer: Peer) -> None:
    peer.open()
    peer.send(ACK | PUSH, b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", wait=0.3)
    peer.send(ACK)
    peer.send(ACK | FIN)
    peer.send(ACK | FIN, ahead=-1)  # our acknowledgement was lost


def time_wait(peer: Peer) -> None:
    server_closes(peer)
    peer.send(SYN, ahead=-100_000, options=MSS)  # an old one
    peer.send(SYN, ahead=100_000, options=MSS, moves=False)  # a new one


def reset_in_time_wait(peer: Peer) -> None:
    server_closes(peer)
    peer.send(RST)
    peer.send(ACK)


SCRIPTS: dict[str, Script] = {
    name: value
    for name, value in list(globals().items())
    if callable(value) and getattr(value, "__annotations__", {}).get("peer") == "Peer"
}


def documented() -> set[str]:
    """The names in the table of docs/tcp.md."""
    text = (ROOT / "docs/tcp.md").read_text()
    part = text.split("## Beside Linux", 1)[1].split("\n## ", 1)[0]
    return {line.split("`")[1] for line in part.splitlines() if line.startswith("| `")}


@pytest.mark.deadline(180)
def test_m10_the_same_segments_to_linux(dispatcher: Dispatcher, linux: Backend, backends: list[Backend]) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.ok(b"the answer")

    linux.on("/a", answer)
    backends[0].on("/a", answer)
    differing: dict[str, str] = {}
    for name, script in SCRIPTS.items():
        theirs, ours = played(script, GATEWAY, PORT), played(script, FILES_ADDRESS, PORT)
        if theirs != ours:
            lines = [f"  {number}: Linux {a}; we {b}" for number, (a, b) in enumerate(zip(theirs, ours)) if a != b]
            differing[name] = "\n".join([name, *lines])
    print("\n".join(differing.values()))
    assert len(SCRIPTS) > 35
    unknown = [text for name, text in differing.items() if name not in documented()]
    assert not unknown, "\n".join(["Linux answers otherwise, and docs/tcp.md does not say why:", *unknown])
    assert documented() <= set(differing), f"no difference any more: {documented() - set(differing)}"
