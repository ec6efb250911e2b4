"""docs/radio.md is what `scripts/radio` makes, its days are what they are said to be, and tshark reads them as `sluice radio` does."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sluicelab.paths import PROJECT, SCRIPTS

sys.path.append(str(SCRIPTS / "radio.d"))

import captures  # noqa: E402
from days import BEGIN, DAY, KINDS, MESSAGES, ROUND_TRIP, SECOND, Kind, day  # noqa: E402
from exchanges import DEVICE, NAMES, RECORDED, Exchange, recorded  # noqa: E402
from measure import IDLE_DAY, STATES, Days, radio  # noqa: E402

BY_KEY = {kind.key: kind for kind in KINDS}


def script(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """scripts/radio after its build."""
    command: list[str | Path] = [sys.executable, SCRIPTS / "radio.d", *arguments]
    return subprocess.run(command, env=None, capture_output=True, text=True)


@pytest.fixture(scope="module")
def exchanges() -> dict[str, Exchange]:
    return recorded()


@pytest.fixture(scope="module")
def days(workspace: Path, exchanges: dict[str, Exchange]) -> Days:
    folder = workspace / "radio"
    folder.mkdir()
    return Days(folder, exchanges)


def tshark(capture: Path, *options: str) -> list[list[str]]:
    command: list[str | Path] = ["tshark", "-r", capture, "-T", "fields", *options]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line.split("\t") for line in output.splitlines()]


# MARK: The documents


def test_the_documents_say_what_the_script_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(SCRIPTS))
    result = script("--check")
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_figure_that_was_changed_is_found(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(SCRIPTS))
    docs = workspace / "radio-docs"
    docs.mkdir()
    for path in (PROJECT / "docs").glob("radio*"):
        shutil.copy(path, docs)
    page = docs / "radio.md"
    text = page.read_text()
    row = next(line for line in text.splitlines() if re.match(r"\| UDP wake-up \| [0-9]", line))
    page.write_text(text.replace(row, row.replace(row.split(" | ")[1], "1,234"), 1))
    result = script("--check", "--docs", docs)
    assert result.returncode == 1 and "radio.md is not what" in result.stdout and "1,234" in result.stdout
    assert page.read_text() != text, "a check changes nothing"
    assert script("--docs", docs).returncode == 0
    assert page.read_text() == text
    page.write_text(text.replace("<!-- radio: networks -->", "<!-- radio: nets -->"))
    result = script("--check", "--docs", docs)
    assert result.returncode == 1 and "nets" in result.stderr


# MARK: The exchanges


def test_the_recorded_exchanges_are_what_they_are_called(exchanges: dict[str, Exchange]) -> None:
    """As tshark sees them."""
    assert set(exchanges) == set(NAMES)
    for name in ("connect", "register", "fetch"):
        flags = tshark(RECORDED / f"{name}.pcap", "-e", "ip.src", "-e", "tcp.flags")
        assert flags[0] == [DEVICE, "0x0002"] and flags[1][1] == "0x0012"
        assert sum(1 for _, flag in flags if flag == "0x0002") == 1
    # TCP opened, the upgrade, registerUA; then nothing; fetch has a notification and an ack as well. Interface and mobilenetwork make the
    # device's part of register longer.
    for name, mode in (("connect", "ws"), ("register", "udp"), ("fetch", "udp")):
        assert f'"pushMode":"{mode}"'.encode() in b"".join(packet.frame for packet in exchanges[name].packets), name
    assert sum(exchanges["register"].sizes(True)) > sum(exchanges["connect"].sizes(True)) + 60
    assert sum(exchanges["fetch"].sizes(False)) > sum(exchanges["register"].sizes(False)) + 200
    assert sum(exchanges["fetch"].sizes(True)) > sum(exchanges["register"].sizes(True)) + 60
    assert [(packet.source == DEVICE) for packet in exchanges["wake"].packets] == [False]
    assert tshark(RECORDED / "wake.pcap", "-e", "udp.length")[0][0] == str(exchanges["wake"].packets[0].length - 20)
    port = tshark(RECORDED / "wake.pcap", "-e", "udp.dstport")[0][0]
    assert exchanges["wake"].packets[0].frame[42:].decode() == f'NOTIFY {{"ip":"{DEVICE}","port":"{port}","proto":"udp"}}'
    # A ping of two bytes down, a masked pong of six up.
    data = tshark(RECORDED / "ping.pcap", "-e", "ip.src", "-e", "tcp.len")
    assert [(source == DEVICE, length) for source, length in data if length != "0"] == [(False, "2"), (True, "6")]
    payload = exchanges["ping"].packets[0].frame[-2:]
    assert payload == b"\x89\x00"
    assert b'"messageType":"notification"' in b"".join(packet.frame for packet in exchanges["message"].packets)
    fins = tshark(RECORDED / "close.pcap", "-Y", "tcp.flags.fin == 1", "-e", "ip.src")
    assert len(fins) == 2
    close = next(packet for packet in exchanges["close"].packets if packet.length > 52)
    assert close.source != DEVICE and close.frame[66:70] == b"\x88\x02" + (4774).to_bytes(2, "big")


# MARK: The days


def test_days_are_laid_out_as_the_page_says(exchanges: dict[str, Exchange]) -> None:
    for kind in KINDS:
        for messages in ((), MESSAGES):
            packets = day(kind, messages, exchanges)
            assert packets[0].at == BEGIN and packets[-1].at < BEGIN + DAY
            assert all(one.at <= next_.at for one, next_ in zip(packets, packets[1:])), kind.key
            for one, next_ in zip(packets, packets[1:]):
                if one.source == DEVICE and next_.source != DEVICE:
                    assert next_.at - one.at >= ROUND_TRIP, kind.key

    def count(kind: str, messages: tuple[int, ...], content: bytes) -> int:
        return sum(content in packet.frame for packet in day(BY_KEY[kind], messages, exchanges))

    assert len(MESSAGES) == 20
    for key in BY_KEY:
        assert count(key, MESSAGES, b'"messageType":"notification"') == 20, key
        assert count(key, (), b'"messageType":"notification"') == 0, key
    ping = exchanges["ping"].packets[0].frame
    # One each 240 s and the round trip after which the pong is acknowledged is no part of it: the pong goes up at once.
    assert count("ping-240", (), ping) == (DAY - 1) // (240 * SECOND)
    assert count("ping-60", (), ping) == (DAY - 1) // (60 * SECOND)
    assert count("no-ping", (), ping) == count("wake-up", MESSAGES, ping) == 0
    assert count("wake-up", MESSAGES, b"NOTIFY {") == 20 and count("wake-up", (), b"NOTIFY {") == 0
    assert count("reconnect-1800", (), b"Upgrade: websocket") == 2 * 48, "the request and the answer, each half hour"
    assert count("wake-up", MESSAGES, b'"pushMode":"udp"') == 21
    assert count("wake-up", MESSAGES, b"\x88\x02" + (4774).to_bytes(2, "big")) == 21


def test_pings_cost_what_chapter_2_says(days: Days) -> None:
    """By hand: each ping is 30 s of FACH after its last packet, then PCH until the next."""
    measured = days.measure(BY_KEY["ping-240"], False)
    pings = 359
    assert measured.whole["promotions"]["pch-fach"] == pings
    assert measured.seconds("idle") == 0
    assert measured.seconds("fach") == pytest.approx(pings * 30.2 + 30, abs=pings * 0.3)
    assert sum(measured.seconds(state) for state in STATES) == pytest.approx(IDLE_DAY)
    assert measured.units == pytest.approx(measured.seconds("pch") * 2 + measured.seconds("fach") * 40 + measured.seconds("dch") * 100)
    quiet = days.measure(BY_KEY["wake-up"], False)
    # One connection at midnight, then IDLE: less than a hundredth of a day of FACH and DCH.
    assert quiet.seconds("idle") > IDLE_DAY - 1900 and quiet.promotions <= 3


def test_wake_up_costs_least_of_what_is_always_reachable(days: Days) -> None:
    for has_messages in (False, True):
        units = {key: days.measure(kind, has_messages).units for key, kind in BY_KEY.items()}
        assert units["ping-60"] > units["ping-240"] > units["reconnect-1800"] > units["wake-up"], units


def test_a_pinged_connection_is_cheaper_where_messages_come_as_often_as_pings(exchanges: dict[str, Exchange], workspace: Path) -> None:
    def units(kind: str, seconds: int) -> float:
        path = workspace / f"{kind}-{seconds}.pcap"
        captures.write(path, day(BY_KEY[kind], range(seconds * SECOND, DAY - 60 * SECOND, seconds * SECOND), exchanges))
        return radio(path, "--from", "2026-01-01T00:00:00Z", "--duration", "24h").units

    assert units("ping-240", 240) < units("wake-up", 240)
    assert units("ping-240", 300) > units("wake-up", 300)


def test_tshark_counts_the_same(days: Days) -> None:
    def both(kind: Kind, has_messages: bool) -> None:
        path = days.path(kind, has_messages)
        rows = tshark(path, "-e", "ip.src", "-e", "ip.len")
        whole = radio(path, "--from", "2026-01-01T00:00:00Z", "--duration", "24h").whole
        for direction, is_up in (("up", True), ("down", False)):
            lengths = [int(length) for source, length in rows if (source == DEVICE) == is_up]
            assert whole[direction] == {"packets": len(lengths), "bytes": sum(lengths)}

    both(BY_KEY["wake-up"], True)
    both(BY_KEY["ping-240"], True)


def test_the_same_day_as_pcapng_and_cooked(days: Days, workspace: Path) -> None:
    path = days.path(BY_KEY["wake-up"], True)
    pcapng = workspace / "day.pcapng"
    subprocess.run(["editcap", "-F", "pcapng", path, pcapng], check=True)
    window = ("--from", "2026-01-01T00:00:00Z", "--duration", "24h")
    assert radio(pcapng, *window).whole == radio(path, *window).whole
    # Raw IP: the frames without their Ethernet headers.
    raw = workspace / "raw.pcap"
    subprocess.run(["editcap", "-F", "pcap", "-C", f"0:{captures.LINK_HEADER}", "-L", "-T", "rawip", path, raw], check=True)
    assert radio(raw, *window).whole == radio(path, *window).whole
