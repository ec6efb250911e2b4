"""The rows of docs/push-protocol.md, "HTTP for devices" and "HTTP for application servers". Collected by test_push_tables.py.

Each answer is also held against docs/openapi.yaml (push_clients.ask).
"""

from __future__ import annotations

import base64
import json
import secrets
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from push_clients import SUBPROTOCOL, Answer, Event, HostLoop, Phone, Signer, ask, text64
from push_descriptions import OPEN_API
from push_workers import APPLICATIONS, FAULTY, NOTIFY_BURST, STRICT, TOKEN_BURST, FaultyWorker
from sluicelab.network import PUSH_ADDRESS

UNKNOWN = "0123456789abcdef" * 4


def expect_error(answer: Answer, status: int, reason: str) -> None:
    assert (answer.status, answer.json) == (status, {"status": "ERROR", "reason": reason})
    assert answer.fields["Access-Control-Allow-Origin"] == "*"


# MARK: For devices


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_token(method: str) -> None:
    answer = ask(method, "/token", b"ignored" if method == "POST" else None)
    assert answer.status == 200
    assert answer.fields["Content-Type"].startswith("text/plain")
    assert answer.fields["Access-Control-Allow-Origin"] == "*"
    assert 0 < len(answer.text) < 128
    assert base64.urlsafe_b64decode(answer.text + "=" * (-len(answer.text) % 4)), "base64url, and nothing else"
    assert answer.text != ask(method, "/token").text


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD"])
def test_token_other_methods(method: str) -> None:
    answer = ask(method, "/token")
    assert answer.status == 405
    assert set(answer.fields["Allow"].split(", ")) == {"GET", "POST", "OPTIONS"}
    if method != "HEAD":
        expect_error(answer, 405, "No valid HTTP method")


def test_token_rate() -> None:
    """For each client's own address, though all come from the dispatcher's: the worker trusts its X-Forwarded-For."""
    answers = [ask("GET", "/token", port=STRICT) for _ in range(TOKEN_BURST + 3)]
    assert [answer.status for answer in answers[:TOKEN_BURST]] == [200] * TOKEN_BURST
    assert answers[-1].status == 429
    expect_error(answers[-1], 429, "Try again later")
    assert ask("GET", "/token", port=STRICT, host="client2").status == 200
    spoofed = ask("GET", "/token", port=STRICT, fields={"X-Forwarded-For": "192.0.2.7"})
    assert spoofed.status == 429, "who claims another address is still who he is"
    assert ask("POST", "/token", port=STRICT).status == 429
    time.sleep(int(answers[-1].fields["Retry-After"]))
    assert ask("GET", "/token", port=STRICT).status == 200


@pytest.mark.parametrize("port", [80, APPLICATIONS])
def test_status(port: int) -> None:
    """On both fronts."""
    answer = ask("GET", "/status", port=port)
    assert (answer.status, answer.text) == (200, "OK")
    assert float(answer.fields["X-Load"]) >= 0
    assert ask("HEAD", "/status", port=port).status == 200


@pytest.mark.parametrize(
    ("path", "port", "methods"),
    [
        ("/", 80, {"GET", "OPTIONS"}),
        ("/token", 80, {"GET", "POST", "OPTIONS"}),
        ("/status", 80, {"GET", "OPTIONS"}),
        ("/status", APPLICATIONS, {"GET", "OPTIONS"}),
        (f"/notify/{UNKNOWN}", 80, {"POST", "OPTIONS"}),
        ("/notify/anything/below", 80, {"POST", "OPTIONS"}),
    ],
)
def test_options(path: str, port: int, methods: set[str]) -> None:
    answer = ask("OPTIONS", path, port=port, fields={"Origin": "https://app.example", "Access-Control-Request-Method": "POST"})
    assert (answer.status, answer.body) == (204, b"")
    assert set(answer.fields["Access-Control-Allow-Methods"].split(", ")) == methods
    assert answer.fields["Access-Control-Allow-Headers"] == "Content-Type"


@pytest.mark.parametrize("path", ["/else", "/tokens", "/token/", "/notify", "/status/x"])
def test_options_elsewhere(path: str) -> None:
    expect_error(ask("OPTIONS", path), 404, "Not found")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/else"), ("GET", "/token/"), ("POST", "/else"), ("GET", "/notify"), ("POST", "/"), ("PUT", "/status"), ("DELETE", "/else")],
)
def test_anything_else(method: str, path: str) -> None:
    expect_error(ask(method, path), 404, "Not found")


HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": SUBPROTOCOL,
}


def test_handshake() -> None:
    """The example of RFC 6455, section 1.3; CORS fields here too."""
    answer = ask("GET", "/", fields=HANDSHAKE)
    assert answer.status == 101
    assert answer.fields["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert answer.fields["Sec-WebSocket-Protocol"] == SUBPROTOCOL


@pytest.mark.parametrize(
    ("status", "changes"),
    [(426, {"Upgrade": "", "Connection": ""}), (426, {"Sec-WebSocket-Version": "8"}), (400, {"Sec-WebSocket-Key": "short"})],
    ids=["no Upgrade", "another version", "bad key"],
)
def test_refused_handshakes(status: int, changes: dict[str, str]) -> None:
    answer = ask("GET", "/", fields={name: value for name, value in (HANDSHAKE | changes).items() if value})
    assert (answer.status, answer.json["status"]) == (status, "ERROR")


# MARK: For application servers


@pytest.fixture(scope="module")
def url(dispatcher: None, devices: HostLoop, signer: Signer) -> str:
    """Of an application whose device is away."""
    return Phone(devices, signer).absent()


def post(url: str, content: Any) -> Answer:
    return ask("POST", url, content if isinstance(content, bytes) else json.dumps(content).encode())


def test_accepted(phone: Phone) -> None:
    socket, url = phone.registered()
    answer = phone.signer.post(url, "hello")
    assert (answer.status, answer.json.keys()) == (200, {"status", "messageId"})
    assert answer.json["status"] == "ACCEPTED"
    assert socket.notification()["messageId"] == answer.json["messageId"]


@pytest.mark.parametrize(
    "path", ["/notify/", "/notify/x", f"/notify/{UNKNOWN}", f"/notify/{UNKNOWN.upper()}", f"/notify/{UNKNOWN[:-1]}", f"/notify/{UNKNOWN}/"]
)
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_404_app_token(signer: Signer, path: str, method: str) -> None:
    """The path comes before the method, and the AppToken before what is in the body."""
    well_formed = path.removeprefix("/notify/") == UNKNOWN
    if method == "GET":
        answer = ask("GET", path)
        expect_error(answer, *((405, "No valid HTTP method") if well_formed else (404, "No valid AppToken")))
    else:
        expect_error(post(path, signer.body("to nobody")), 404, "No valid AppToken")
        expect_error(post(path, b"no JSON"), 404, "No valid AppToken")


def test_404_upper_case(url: str, signer: Signer) -> None:
    front, _, token = url.rpartition("/")
    assert token != token.upper()
    expect_error(post(f"{front}/{token.upper()}", signer.body("shouted")), 404, "No valid AppToken")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_405_method(url: str, method: str) -> None:
    answer = ask(method, url, b"{}" if method != "GET" else None)
    expect_error(answer, 405, "No valid HTTP method")
    assert set(answer.fields["Allow"].split(", ")) == {"POST", "OPTIONS"}


Row = Callable[[Signer], Any]


def body(message: str = "m", **members: Any) -> Row:
    return lambda signer: signer.body(message, **members)


def stuffed(size: int) -> Row:
    """A good body of that many bytes."""
    return lambda signer: json.dumps(signer.body("m")).encode().ljust(size)


REFUSED: dict[str, tuple[int, str, Row]] = {
    "body of 16 KiB and one byte": (413, "Body too big", stuffed(16385)),
    "body of 100 KiB": (413, "Body too big", stuffed(102400)),
    "big before bad JSON": (413, "Body too big", lambda _: b"{" * 16385),
    "message of 4097 bytes": (413, "Body too big", body("m" * 4097)),
    "message of 2049 characters and 4098 bytes": (413, "Body too big", body("ü" * 2049)),
    "id of 257 bytes": (413, "Body too big", body(id="i" * 257)),
    "sizes before messageType and signature": (413, "Body too big", body("m" * 4097, messageType="x", signature=...)),
    "empty": (400, "JSON not valid", lambda _: b""),
    "no JSON": (400, "JSON not valid", lambda _: b"{"),
    "a list": (400, "JSON not valid", lambda signer: [signer.body("m")]),
    "a text": (400, "JSON not valid", lambda _: b'"notification"'),
    "lone surrogate": (400, "JSON not valid", lambda signer: json.dumps(signer.body("m", id="1")).replace('"1"', '"\\ud800"').encode()),
    "no UTF-8": (400, "JSON not valid", lambda signer: json.dumps(signer.body("m", id="X")).encode().replace(b"X", b"\xff")),
    "form": (400, "JSON not valid", lambda _: b"messageType=notification&id=1&message=m"),
    "messageType missing": (400, "Not messageType=notification", body(messageType=...)),
    "another messageType": (400, "Not messageType=notification", body(messageType="Notification")),
    "messageType is a number": (400, "Not messageType=notification", body(messageType=1)),
    "messageType before id": (400, "Not messageType=notification", body(messageType="x", id=...)),
    "id missing": (400, "Not id", body(id=...)),
    "id null": (400, "Not id", body(id=None)),
    "id empty": (400, "Not id", body(id="")),
    "id is a list": (400, "Not id", body(id=["1"])),
    "id is true": (400, "Not id", body(id=True)),
    "id before message": (400, "Not id", lambda signer: {**signer.body("m", id=...), "message": 1}),
    "message missing": (400, "Not message", lambda signer: {**signer.body("m"), "message": None}),
    "message is a number": (400, "Not message", lambda signer: {**signer.body("m"), "message": 1}),
    "message is an object": (400, "Not message", lambda signer: {**signer.body("m"), "message": {"text": "m"}}),
    "message before ttl": (400, "Not message", lambda signer: {**signer.body("m"), "message": 1, "ttl": -1}),
    "ttl negative": (400, "Not valid ttl", body(ttl=-1)),
    "ttl with a fraction": (400, "Not valid ttl", body(ttl=0.5)),
    "ttl is a word": (400, "Not valid ttl", body(ttl="soon")),
    "ttl is a signed text": (400, "Not valid ttl", body(ttl="-1")),
    "ttl is an empty text": (400, "Not valid ttl", body(ttl="")),
    "ttl is true": (400, "Not valid ttl", body(ttl=True)),
    "ttl before timestamp": (400, "Not valid ttl", body(ttl=-1, timestamp=[])),
    "timestamp is a list": (400, "Not valid timestamp", body(timestamp=[])),
    "timestamp before priority": (400, "Not valid timestamp", body(timestamp=True, priority=True)),
    "priority is an object": (400, "Not valid priority", body(priority={})),
    "priority before signature": (400, "Not valid priority", body(priority=False, signature=...)),
    "signature missing": (401, "You must sign your message with your Private Key", body(signature=...)),
    "signature null": (401, "You must sign your message with your Private Key", body(signature=None)),
    "signature empty": (401, "You must sign your message with your Private Key", body(signature="")),
    "signature is a number": (401, "You must sign your message with your Private Key", body(signature=5)),
    "signature of another message": (403, "Bad signature, dropping notification", lambda signer: {**signer.body("m"), "message": "n"}),
    "signature by another key": (403, "Bad signature, dropping notification", lambda _: Signer().body("m")),
    "signature cut": (403, "Bad signature, dropping notification", lambda signer: signer.body("m", signature=signer.sign("m").hex()[:-2])),
    "signature is a word": (403, "Bad signature, dropping notification", body(signature="trust me")),
    "signature over the JSON form": (
        403,
        "Bad signature, dropping notification",
        lambda signer: signer.body("m", signature=signer.sign('"m"').hex()),
    ),
}


@pytest.mark.parametrize("label", REFUSED)
def test_refused(url: str, signer: Signer, label: str) -> None:
    status, reason, make = REFUSED[label]
    content = make(signer)
    expect_error(post(url, content), status, reason)
    if status in (400, 401) and isinstance(content, dict):
        schema = OPEN_API.content["components"]["schemas"]["Notification"]
        assert OPEN_API.errors(schema, content), "the description forbids it"


ACCEPTED: dict[str, tuple[str, Event]] = {
    "16 KiB": ("m", {"padding": "stuffed"}),
    "message of 4096 bytes": ("m" * 4096, {}),
    "message of 2048 characters and 4096 bytes": ("ü" * 2048, {}),
    "message empty": ("", {}),
    "id of 256 bytes": ("m", {"id": "i" * 256}),
    "id is a number": ("m", {"id": 12.5}),
    "ttl missing": ("m", {}),
    "ttl null": ("m", {"ttl": None}),
    "ttl 60.0": ("m", {"ttl": 60.0}),
    "ttl as digits": ("m", {"ttl": "60"}),
    "ttl over 30 days": ("m", {"ttl": 10**9}),
    "ttl over all bounds": ("m", {"ttl": 10**40}),
    "timestamp and priority null": ("m", {"timestamp": None, "priority": None}),
    "unknown members": ("m", {"colour": "green", "data": {"a": [1, 2]}}),
}


@pytest.mark.parametrize("label", ACCEPTED)
def test_accepted_too(phone: Phone, label: str) -> None:
    """What is just within the limits; the device gets it as it came."""
    message, members = ACCEPTED[label]
    socket, url = phone.registered()
    content = phone.signer.body(message, **members)
    assert not OPEN_API.errors(OPEN_API.content["components"]["schemas"]["Notification"], content)
    answer = post(url, json.dumps(content).encode().ljust(16384) if label == "16 KiB" else content)
    assert answer.status == 200, answer
    got = socket.notification()
    assert (got["message"], got["id"]) == (message, content["id"])


def test_ttl_missing_or_null_or_over_is_kept(phone: Phone) -> None:
    """None of these is taken for 0."""
    url = phone.absent()
    ids = [phone.signer.send(url, "kept", **members) for members in ({}, {"ttl": None}, {"ttl": 10**9}, {"ttl": 10**40})]
    socket = phone.connect()
    assert [socket.notification()["messageId"] for _ in ids] == ids


SIGNATURES: dict[str, Callable[[bytes], str]] = {
    "hexadecimal": bytes.hex,
    "HEXADECIMAL": lambda signature: signature.hex().upper(),
    "mIxEd hexadecimal": lambda signature: "".join(c.upper() if i % 2 else c for i, c in enumerate(signature.hex())),
    "base64": text64,
    "base64 in lines": lambda signature: base64.encodebytes(signature).decode(),
    "base64 in lines of CR LF": lambda signature: base64.encodebytes(signature).decode().replace("\n", "\r\n"),
}


@pytest.mark.parametrize("label", SIGNATURES)
@pytest.mark.parametrize("message", ["plain", 'grüße 🎉 "\\/\x07"'])
def test_signatures(url: str, signer: Signer, label: str, message: str) -> None:
    """Over the UTF-8 bytes of the text, however it stands in the JSON."""
    content = signer.body(message, signature=SIGNATURES[label](signer.sign(message)))
    assert post(url, json.dumps(content).encode()).status == 200
    assert post(url, json.dumps(content, ensure_ascii=False).encode()).status == 200


@pytest.mark.parametrize("label", ["pem", "der", "der in lines", "pem in lines"])
def test_keys(phone: Phone, label: str) -> None:
    """pbkbase64: base64 of the PEM text or of the DER, with line ends or without; each form is an application of its own."""
    key = phone.signer.pem if label.startswith("pem") else phone.signer.der
    encoded = base64.encodebytes(key).decode() if label.endswith("lines") else text64(key)
    socket = phone.connect()
    answer = socket.asked("registerWA", data={"watoken": secrets.token_hex(8), "pbkbase64": encoded})
    message_id = phone.signer.send(answer["url"], label)
    assert socket.notification()["messageId"] == message_id


def test_signature_of_a_long_key(phone: Phone) -> None:
    phone.signer = Signer(3072)
    socket, url = phone.registered()
    message_id = phone.signer.send(url, "3072 bits")
    assert socket.notification()["messageId"] == message_id


def test_429_notify_rate(devices: HostLoop, signer: Signer) -> None:
    """Before path and body are looked at, and for each client's own address."""
    time.sleep(1.1)  # test_token_rate has used up the tokens
    phone = Phone(devices, signer, STRICT)
    url = phone.absent()
    assert [signer.post(url, f"message {number}").status for number in range(NOTIFY_BURST)] == [200] * NOTIFY_BURST
    answer = signer.post(url, "one too many")
    expect_error(answer, 429, "Try again later")
    expect_error(post(f"http://{PUSH_ADDRESS}:{STRICT}/notify/nobody", b"x"), 429, "Try again later")
    time.sleep(int(answer.fields["Retry-After"]) + 0.1)
    assert signer.post(url, "later").status == 200


def test_503_post_store_unavailable(devices: HostLoop, signer: Signer, faulty: FaultyWorker) -> None:
    """Nothing is accepted, whether the worker knows the application or has to look it up."""
    phone = Phone(devices, signer, FAULTY)
    socket, url = phone.registered()
    other, others_url = Phone(devices, signer, FAULTY).registered()
    signer.send(url, "known from here on")
    socket.acknowledge(socket.notification())
    with faulty.broken():
        for address in (url, others_url):
            answer = signer.post(address, "lost")
            expect_error(answer, 503, "Try again later")
            assert int(answer.fields["Retry-After"]) >= 1
    for address, device in ((url, socket), (others_url, other)):
        assert signer.send(address, "kept") == device.notification()["messageId"]


def test_503_draining(devices: HostLoop, signer: Signer, faulty: FaultyWorker) -> None:
    """After SIGTERM: /status and posts say so, sockets close with 1012, new ones are refused. What was accepted is not lost."""
    phone = Phone(devices, signer, FAULTY)
    socket, url = phone.registered()
    faulty.process.signal(signal.SIGTERM)
    socket.expect_close(1012)
    status = ask("GET", "/status", port=FAULTY)
    assert (status.status, status.text) == (503, "Draining")
    expect_error(signer.post(url, "too late"), 503, "Try again later")
    expect_error(post(f"http://{PUSH_ADDRESS}:{FAULTY}/notify/nobody", b"x"), 503, "Try again later")
    expect_error(ask("GET", "/", port=FAULTY, fields=HANDSHAKE), 503, "Try again later")
    assert faulty.process.wait(10) == 0
