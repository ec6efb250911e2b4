"""The rows of docs/push-protocol.md, "WebSocket": frames and delivery. Collected by test_push_tables.py."""

from __future__ import annotations

import json
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from push_clients import PING, SUBPROTOCOL, TEXT, Event, HostLoop, Phone, Signer, Socket, ask, new_token
from push_workers import PING_AFTER, STRICT

CONTINUATION = 0
REPLACED = 4001


# MARK: Frames (RFC 6455)


@pytest.mark.parametrize(
    ("offer", "chosen"), [([], None), ([SUBPROTOCOL], SUBPROTOCOL), (["mqtt"], None), (["mqtt", SUBPROTOCOL, "wamp"], SUBPROTOCOL)]
)
def test_sub_protocol(phone: Phone, offer: list[str], chosen: str | None) -> None:
    socket = Socket(phone.loop, offer=offer)
    assert socket.protocol.subprotocol == chosen
    assert socket.asked("registerUA", data={"uatoken": phone.token})["statusCode"] == 200


def test_compression_is_not_negotiated(phone: Phone) -> None:
    socket = Socket(phone.loop, compression="deflate")
    assert socket.protocol.response_headers.get("Sec-WebSocket-Extensions") is None
    socket.expect_open()


def masked(first: int, payload: bytes) -> bytes:
    """A frame of a client with its first byte as given, and a mask of zeros."""
    return bytes([first, 0x80 | len(payload), 0, 0, 0, 0]) + payload


BROKEN_FRAMES: dict[str, tuple[int, list[bytes]]] = {
    "without mask": (1002, [b"\x81\x02{}"]),
    "reserved bit": (1002, [masked(0xC1, b"{}")]),
    "reserved kind of data": (1002, [masked(0x83, b"{}")]),
    "reserved kind of control": (1002, [masked(0x8B, b"")]),
    "continuation of nothing": (1002, [masked(0x80, b"{}")]),
    "text within a text": (1002, [masked(0x01, b'{"'), masked(0x81, b"{}")]),
    "ping in fragments": (1002, [masked(0x09, b"")]),
    "ping of 126 bytes": (1002, [b"\x89\xfe\x00\x7e\x00\x00\x00\x00" + b"p" * 126]),
    "binary": (1003, [masked(0x82, b"{}")]),
    "bad UTF-8": (1007, [masked(0x81, b'"\xff"')]),
    "UTF-8 cut off": (1007, [masked(0x81, b"\xc3")]),
    "surrogate in UTF-8": (1007, [masked(0x81, b"\xed\xa0\x80")]),
    "frame of 8193 bytes": (1009, [b"\x81\xfe\x20\x01\x00\x00\x00\x00" + b" " * 8193]),
    "frame that says 1 GiB": (1009, [b"\x81\xff\x00\x00\x00\x00\x40\x00\x00\x00\x00\x00\x00\x00"]),
    "8193 bytes in two frames": (
        1009,
        [b"\x01\xfe\x10\x00\x00\x00\x00\x00" + b" " * 4096, b"\x80\xfe\x10\x01\x00\x00\x00\x00" + b" " * 4097],
    ),
}


@pytest.mark.parametrize("label", BROKEN_FRAMES)
@pytest.mark.parametrize("is_registered", [False, True])
def test_broken_frames_close(phone: Phone, label: str, is_registered: bool) -> None:
    code, frames = BROKEN_FRAMES[label]
    socket = phone.connect() if is_registered else Socket(phone.loop)
    socket.raw(b"".join(frames))
    socket.expect_close(code)


@pytest.mark.parametrize("frames", [1, 3, 8192])
def test_8_kib_in_however_many_frames(phone: Phone, frames: int) -> None:
    text = json.dumps({"messageType": "registerUA", "data": {"uatoken": phone.token}}).encode().ljust(8192)
    step = -(-len(text) // frames)
    pieces = [text[start : start + step] for start in range(0, len(text), step)]
    socket = Socket(phone.loop)
    for number, piece in enumerate(pieces):
        opcode = TEXT if number == 0 else CONTINUATION
        # All in one write where they are many: a call for each would take seconds.
        first = (0x80 if number == len(pieces) - 1 else 0) | opcode
        if len(piece) < 126:
            pieces[number] = masked(first, piece)
        else:
            pieces[number] = bytes([first, 0xFE]) + len(piece).to_bytes(2, "big") + bytes(4) + piece
    socket.raw(b"".join(pieces))
    assert socket.hear()["status"] == "REGISTERED"


def test_ping_text(phone: Phone) -> None:
    """Before and after the registration, as often as one likes; and nothing but the bare word."""
    socket = Socket(phone.loop)
    socket.expect_open()
    assert socket.asked("registerUA", data={"uatoken": phone.token})["statusCode"] == 200
    for _ in range(20):
        socket.send("PING")
    assert [socket.text() for _ in range(20)] == ["PONG"] * 20
    socket.send("ping")
    assert socket.hear()["statusCode"] == 400
    socket.expect_close(1007)


@pytest.mark.parametrize("payload", [b"", b"p" * 125], ids=len)
def test_ping_frames_are_answered(phone: Phone, payload: bytes) -> None:
    """In the middle of a message too (RFC 6455, section 5.5.2)."""
    socket = Socket(phone.loop)
    socket.frame(TEXT, b'{"messageType":', fin=False)
    socket.ping(payload)
    socket.frame(CONTINUATION, b'"x"}')
    assert socket.hear()["statusCode"] == 405


@pytest.mark.parametrize(("sent", "answered"), [(1000, 1000), (1001, 1001), (3456, 3456), (None, 1000)])
def test_close_frames_are_answered(phone: Phone, sent: int | None, answered: int) -> None:
    """With the code that the device gave, and when what it asked before is done (its answer need not come any more)."""
    socket = phone.connect()
    socket.say("registerWA", data=phone.application)
    socket.raw(masked(0x88, sent.to_bytes(2, "big") if sent else b""))
    socket.expect_end(answered)
    assert len(phone.connect().asked("getRegisteredWA")["urls"]) == 1


def test_idle_sockets_are_pinged(devices: HostLoop, signer: Signer) -> None:
    """But never one that gave a mobile network: keep-alives are what its battery pays for."""
    token = new_token(STRICT, host="client2")
    others_token = new_token(STRICT, host="client2")
    anonymous, pinged, spared = (Socket(devices, STRICT) for _ in range(3))
    assert pinged.asked("registerUA", data={"uatoken": token})["statusCode"] == 200
    network = {"mcc": "999", "mnc": "99"}
    assert spared.asked("registerUA", data={"uatoken": others_token, "mobilenetwork": network})["statusCode"] == 200
    time.sleep(1.5 * PING_AFTER)
    assert len(anonymous.arrivals(PING)) == 1
    assert len(pinged.arrivals(PING)) == 1
    assert spared.arrivals(PING) == []
    for socket in (anonymous, pinged, spared):
        socket.expect_open()


# MARK: Delivery


def test_notification(phone: Phone) -> None:
    socket, url = phone.registered()
    before = time.time() * 1000
    message_id = phone.signer.send(url, 'grüße 🎉 "quoted"\n')
    got = socket.notification()
    timestamp = got.pop("timestamp")
    assert before - 5000 < timestamp < time.time() * 1000 + 5000, "by default now, in milliseconds"
    assert got == {
        "messageType": "notification",
        "id": "1",
        "message": 'grüße 🎉 "quoted"\n',
        "priority": "4",
        "messageId": message_id,
        "url": url,
    }


@pytest.mark.parametrize(
    "members",
    [{"id": 7}, {"id": -2.50}, {"id": "7"}, {"timestamp": 0}, {"timestamp": "yesterday"}, {"priority": 1}, {"priority": ""}],
    ids=json.dumps,
)
def test_members_are_passed_through(phone: Phone, members: Event) -> None:
    socket, url = phone.registered()
    phone.signer.send(url, "as it came", **members)
    got = socket.notification()
    assert {name: got[name] for name in members} == members


def test_32_in_flight(phone: Phone) -> None:
    """Each acknowledgement lets the next come; what getAllMessages shows does not count."""
    url = phone.absent()
    ids = [phone.signer.send(url, f"message {number}") for number in range(36)]
    socket = phone.connect()
    flying = [socket.notification() for _ in range(32)]
    assert [message["messageId"] for message in flying] == ids[:32]
    socket.expect_quiet()
    answer = socket.asked("getAllMessages", data={"uatoken": phone.token})
    assert [message["messageId"] for message in answer["messages"]] == ids
    for number in range(4):
        socket.acknowledge(flying[number])
        assert socket.notification()["messageId"] == ids[32 + number]
    socket.expect_quiet()


def test_a_second_connection_replaces_the_first(phone: Phone) -> None:
    """Whichever worker it reaches."""
    socket, url = phone.registered()
    for turn in range(4):
        newer = phone.connect()
        socket.expect_close(REPLACED)
        message_id = phone.signer.send(url, f"turn {turn}")
        got = newer.notification()
        assert got["messageId"] == message_id
        newer.acknowledge(got)
        time.sleep(0.15)  # it is written within 100 ms; a device that goes on before may get the message again
        socket = newer


def test_what_was_acknowledged_before_a_proper_close_is_gone(phone: Phone) -> None:
    """Whichever worker the device reaches next, and however soon."""
    url = phone.absent()
    for turn in range(8):
        message_id = phone.signer.send(url, f"turn {turn}")
        socket = phone.connect()
        got = socket.notification()
        assert got["messageId"] == message_id
        socket.acknowledge(got)
        socket.close()


def test_get_all_messages_gives_a_thousand(phone: Phone) -> None:
    """Acknowledge, and ask again for more."""
    url = phone.absent()
    bodies = [json.dumps(phone.signer.body(f"message {number}")).encode() for number in range(1003)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda body: ask("POST", url, body).status, bodies))
    assert answers == [200] * len(bodies)
    socket = Socket(phone.loop)
    first = socket.asked("getAllMessages", data={"uatoken": phone.token})["messages"]
    assert len(first) == 1000
    for message in first:
        socket.acknowledge(message)
    rest = socket.asked("getAllMessages", data={"uatoken": phone.token})["messages"]
    assert len(rest) == 3
    assert {message["message"] for message in first + rest} == {f"message {number}" for number in range(1003)}


def test_register_ua_again_sends_nothing_again(phone: Phone) -> None:
    socket, url = phone.registered()
    message_id = phone.signer.send(url, "once")
    assert socket.notification()["messageId"] == message_id
    answer = socket.asked("registerUA", data={"uatoken": phone.token, "interface": {"ip": "10.1.2.3", "port": 5000}})
    assert (answer["status"], answer["pushMode"]) == ("REGISTERED", "ws")
    socket.expect_quiet()


def test_only_what_was_accepted_after_the_registration(phone: Phone, devices: HostLoop) -> None:
    url = Phone(devices, phone.signer, watoken=phone.watoken).absent()
    phone.signer.send(url, "before")
    socket, same = phone.registered()
    assert same == url
    message_id = phone.signer.send(url, "after")
    assert socket.notification()["messageId"] == message_id
    assert [message["message"] for message in socket.asked("getAllMessages", data={"uatoken": phone.token})["messages"]] == ["after"]


def test_messages_of_an_application_go_with_its_registration(phone: Phone) -> None:
    """Those of the others stay, also of those that are in flight."""
    kept = phone.absent()
    kept_application = phone.watoken
    phone.watoken = secrets.token_hex(16)
    dropped = phone.absent()
    dropped_id, kept_id = phone.signer.send(dropped, "dropped"), phone.signer.send(kept, "kept")
    socket = Socket(phone.loop)
    socket.say("registerUA", data={"uatoken": phone.token})
    assert socket.hear()["status"] == "REGISTERED"
    assert [socket.notification()["messageId"] for _ in range(2)] == [dropped_id, kept_id]
    assert socket.asked("unregisterWA", data=phone.application)["status"] == "UNREGISTERED"
    answer = socket.asked("getAllMessages", data={"uatoken": phone.token})
    assert [message["messageId"] for message in answer["messages"]] == [kept_id]
    phone.watoken = kept_application
    assert phone.register(socket) == kept


def test_ttl_0_is_for_devices_that_are_connected(phone: Phone) -> None:
    """It comes once, and is not sent again."""
    url = phone.absent()
    phone.signer.send(url, "to nobody", ttl=0)
    socket = phone.connect()
    socket.expect_quiet()
    message_id = phone.signer.send(url, "now", ttl=0)
    assert socket.notification()["messageId"] == message_id
    socket.close()
    phone.connect().expect_quiet()


@pytest.mark.parametrize("ttl", [1, 1.0, "1"], ids=["number", "fraction of zeros", "text"])
def test_ttl_ends_a_message(phone: Phone, ttl: Any) -> None:
    url = phone.absent()
    phone.signer.send(url, "milk", ttl=ttl)
    message_id = phone.signer.send(url, "wine", ttl=60)
    time.sleep(1.1)
    assert phone.connect().notification()["messageId"] == message_id


def test_order_over_all_workers(phone: Phone) -> None:
    """Whichever worker took the post, and whichever has the socket."""
    socket, url = phone.registered()
    ids = [phone.signer.send(url, f"message {number}") for number in range(24)]
    assert [socket.notification()["messageId"] for _ in ids] == ids


def test_commands_are_answered_in_order_however_fast(phone: Phone) -> None:
    socket = Socket(phone.loop)
    socket.say("registerUA", data={"uatoken": phone.token})
    for number in range(20):
        socket.say("registerWA", data={**phone.application, "watoken": f"w{number}"})
    socket.say("getRegisteredWA")
    assert socket.hear()["messageType"] == "registerUA"
    assert [socket.hear()["watoken"] for _ in range(20)] == [f"w{number}" for number in range(20)]
    assert len(socket.hear()["urls"]) == 20
