"""The rows of docs/push-protocol.md, "WebSocket": commands and errors. Collected by test_push_tables.py."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from push_clients import Event, HostLoop, Phone, Signer, Socket, ask, new_token, text64
from push_descriptions import ASYNC_API
from push_workers import FAULTY, STRICT, TOKEN_LIFETIME, FaultyWorker
from sluicelab.network import PUSH_ADDRESS

# MARK: The commands


INTERFACES: dict[str, Event] = {
    "none": {},
    "null": {"interface": None, "mobilenetwork": None},
    "interface only": {"interface": {"ip": "10.1.2.3", "port": 5000}},
    "network only": {"mobilenetwork": {"mcc": "999", "mnc": "99"}},
    "of no operator that is known": {"interface": {"ip": "10.1.2.3", "port": "5000"}, "mobilenetwork": {"mcc": "999", "mnc": "99"}},
    "IPv6": {"interface": {"ip": "2001:db8::7", "port": "65535"}, "mobilenetwork": {"mcc": "999", "mnc": "99"}},
    "unknown members": {"colour": "green", "interface": {"ip": "10.1.2.3", "port": 1, "mask": 24}},
}


@pytest.mark.parametrize("members", INTERFACES.values(), ids=INTERFACES.keys())
def test_register_ua(phone: Phone, members: Event) -> None:
    phone.connect(**members).expect_open()


@pytest.mark.parametrize("with_token", [True, False])
@pytest.mark.parametrize("key", ["pem", "der"])
def test_register_wa(phone: Phone, with_token: bool, key: str) -> None:
    """The URL's end is SHA-256 of WAToken and key as they were sent. uatoken may be left out."""
    application = {"watoken": "grüße", "pbkbase64": text64(getattr(phone.signer, key))}
    data = {"uatoken": phone.token, **application} if with_token else application
    socket = phone.connect()
    url = f"http://{PUSH_ADDRESS}/notify/{app_token(**application)}"
    for _ in range(2):  # registering again does no harm
        assert socket.asked("registerWA", data=data) == {
            "messageType": "registerWA",
            "status": "REGISTERED",
            "statusCode": 200,
            "url": url,
            "watoken": "grüße",
        }


def app_token(watoken: str, pbkbase64: str) -> str:
    return hashlib.sha256((watoken + pbkbase64).encode()).hexdigest()


@pytest.mark.parametrize("with_token", [True, False])
def test_unregister_wa(phone: Phone, with_token: bool) -> None:
    socket, url = phone.registered()
    phone.signer.send(url, "pending")
    assert socket.notification()["message"] == "pending"
    data = {"uatoken": phone.token, **phone.application} if with_token else phone.application
    answer = socket.asked("unregisterWA", data=data)
    assert answer == {"messageType": "unregisterWA", "status": "UNREGISTERED", "statusCode": 200, "url": url}
    assert phone.signer.post(url, "nobody").status == 404, "the last device has gone"
    assert socket.asked("getAllMessages", data={"uatoken": phone.token})["messages"] == [], "what was pending is gone"


def test_get_registered_wa(phone: Phone) -> None:
    socket = phone.connect()
    expected = {"messageType": "getRegisteredWA", "status": "OK", "statusCode": 200}
    assert socket.asked("getRegisteredWA") == {**expected, "urls": []}
    urls = []
    for watoken in ("one", "two"):
        phone.watoken = watoken
        urls.append(phone.register(socket))
    answer = socket.asked("getRegisteredWA")
    assert sorted(answer.pop("urls")) == sorted(urls)
    assert answer == expected


def test_unregister_ua(phone: Phone) -> None:
    socket, url = phone.registered()
    phone.signer.send(url, "pending")
    socket.notification()
    assert socket.asked("unregisterUA") == {"messageType": "unregisterUA", "status": "UNREGISTERED", "statusCode": 200}
    socket.expect_close(1000)
    assert phone.signer.post(url, "nobody").status == 404
    again = phone.connect()  # the token is still good, for a device without applications and messages
    assert again.asked("getRegisteredWA")["urls"] == []
    assert again.asked("getAllMessages", data={"uatoken": phone.token})["messages"] == []


def test_get_all_messages(phone: Phone) -> None:
    url = phone.absent()
    ids = [phone.signer.send(url, f"message {number}", id=number) for number in range(5)]
    socket = Socket(phone.loop)  # a woken device may just poll
    answer = socket.asked("getAllMessages", data={"uatoken": phone.token})
    assert answer.keys() == {"messageType", "statusCode", "messages"}
    assert [message["messageId"] for message in answer["messages"]] == ids
    assert [message["id"] for message in answer["messages"]] == list(range(5))
    for message in answer["messages"][:3]:
        socket.acknowledge(message)  # counts for the device whose token was shown
    answer = socket.asked("getAllMessages", data={"uatoken": phone.token})
    assert [message["messageId"] for message in answer["messages"]] == ids[3:]
    socket.close()
    registered = phone.connect()
    assert [registered.notification()["messageId"] for _ in ids[3:]] == ids[3:]


def test_ack_is_for_one_device(devices: HostLoop, signer: Signer) -> None:
    """No answer; the device's copy is gone, another device's copy of the same message stays."""
    phones = [Phone(devices, signer, watoken="both " + secrets.token_hex(8)) for _ in range(2)]
    phones[1].watoken = phones[0].watoken
    first, url = phones[0].registered()
    second, same = phones[1].registered()
    assert url == same
    message_id = signer.send(url, "for both")
    copy = first.notification()
    assert (copy["messageId"], second.notification()["messageId"]) == (message_id, message_id)
    first.acknowledge(copy)
    first.expect_open()
    first.close()
    second.close()
    phones[0].connect().expect_quiet()
    assert phones[1].connect().notification()["messageId"] == message_id


# MARK: The errors


@dataclass(frozen=True)
class Given:
    """What rows are made of."""

    token: str
    others_token: str
    pbk: str


Make = Callable[[Given], Any]


def command(kind: str, **changes: Any) -> Make:
    """A good command, but for these members of its data; `...` leaves one out."""

    def make(given: Given) -> Event:
        data: Event = {"uatoken": given.token}
        if kind in ("registerWA", "unregisterWA"):
            data |= {"watoken": "w", "pbkbase64": given.pbk}
        return {"messageType": kind, "data": {name: value for name, value in (data | changes).items() if value is not ...}}

    return make


def plain(**members: Any) -> Make:
    return lambda given: members


def public_key_of(bits: int) -> str:
    """A public key of that many bits (its modulus is no product of two primes, which nobody can see)."""
    numbers = rsa.RSAPublicNumbers(65537, (1 << (bits - 1)) | secrets.randbits(bits - 2) | 1)
    return text64(numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


EC_KEY = text64(ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
BAD_INTERFACES: dict[str, tuple[str, Event]] = {
    "interface is a text": ("interface", {"interface": "10.1.2.3:5000"}),
    "interface without ip": ("ip", {"interface": {"port": 5000}}),
    "ip is a number": ("ip", {"interface": {"ip": 10, "port": 5000}}),
    "ip is a name": ("ip", {"interface": {"ip": "localhost", "port": 5000}}),
    "ip with three parts": ("ip", {"interface": {"ip": "10.1.2", "port": 5000}}),
    "interface without port": ("port", {"interface": {"ip": "10.1.2.3"}}),
    "port 0": ("port", {"interface": {"ip": "10.1.2.3", "port": 0}}),
    "port 65536": ("port", {"interface": {"ip": "10.1.2.3", "port": 65536}}),
    "port with a fraction": ("port", {"interface": {"ip": "10.1.2.3", "port": 1.5}}),
    "port is a word": ("port", {"interface": {"ip": "10.1.2.3", "port": "http"}}),
    "mobilenetwork is a list": ("mobilenetwork", {"mobilenetwork": ["214", "07"]}),
    "mobilenetwork without mcc": ("mcc", {"mobilenetwork": {"mnc": "07"}}),
    "mobilenetwork without mnc": ("mnc", {"mobilenetwork": {"mcc": "214"}}),
    "mnc is a number": ("mnc", {"mobilenetwork": {"mcc": "214", "mnc": 7}}),
}
# Label: the member that the reason names, the command.
BAD_MEMBERS: dict[str, tuple[str, Make]] = {
    "messageType missing": ("messageType", plain(data={})),
    "messageType is a number": ("messageType", plain(messageType=1)),
    "messageType is null": ("messageType", plain(messageType=None)),
    "registerUA without data": ("data", plain(messageType="registerUA")),
    "registerUA with data as a text": ("data", plain(messageType="registerUA", data="x")),
    "registerUA without uatoken": ("uatoken", command("registerUA", uatoken=...)),
    "registerUA with uatoken null": ("uatoken", command("registerUA", uatoken=None)),
    "registerUA with uatoken as a number": ("uatoken", command("registerUA", uatoken=7)),
    **{label: (member, command("registerUA", **changes)) for label, (member, changes) in BAD_INTERFACES.items()},
    "getAllMessages without data": ("data", plain(messageType="getAllMessages")),
    "getAllMessages without uatoken": ("uatoken", command("getAllMessages", uatoken=...)),
    "getAllMessages with uatoken as a list": ("uatoken", command("getAllMessages", uatoken=[])),
    "ack without messageId": ("messageId", plain(messageType="ack")),
    "ack with messageId as a number": ("messageId", plain(messageType="ack", messageId=5)),
}
BAD_APPLICATIONS: dict[str, tuple[str, Event]] = {
    "uatoken is a number": ("uatoken", {"uatoken": 7}),
    "watoken missing": ("watoken", {"watoken": ...}),
    "watoken null": ("watoken", {"watoken": None}),
    "watoken is a number": ("watoken", {"watoken": 1}),
    "watoken empty": ("watoken", {"watoken": ""}),
    "watoken of 257 bytes": ("watoken", {"watoken": "w" * 257}),
    "watoken of 129 characters and 258 bytes": ("watoken", {"watoken": "ü" * 129}),
    "pbkbase64 missing": ("pbkbase64", {"pbkbase64": ...}),
    "pbkbase64 is an object": ("pbkbase64", {"pbkbase64": {}}),
    "pbkbase64 is no base64": ("pbkbase64", {"pbkbase64": "-----BEGIN PUBLIC KEY-----"}),
    "pbkbase64 is no key": ("pbkbase64", {"pbkbase64": text64(b"no key")}),
    "key of 1024 bits": ("pbkbase64", {"pbkbase64": public_key_of(1024)}),
    "key of 2047 bits": ("pbkbase64", {"pbkbase64": public_key_of(2047)}),
    "key of 8193 bits": ("pbkbase64", {"pbkbase64": "too long for here"}),
    "key on a curve": ("pbkbase64", {"pbkbase64": EC_KEY}),
    "PKCS#1 key": ("pbkbase64", {"pbkbase64": "of the signer"}),
}
BEYOND_SCHEMAS = ("watoken of 129", "is no base64", "is no key", "key of", "key on", "PKCS#1")  # what no schema can say


def refused(kind: str | None, code: int, reason: str) -> Event:
    """An error answer."""
    return {**({} if kind is None else {"messageType": kind}), "status": "ERROR", "statusCode": code, "reason": reason}


@pytest.fixture
def given(phone: Phone) -> Given:
    return Given(phone.token, new_token(), phone.signer.pbk)


def expect_bad_member(socket: Socket, content: Event, member: str) -> None:
    socket.send(json.dumps(content))
    answer = socket.hear()
    kind = content.get("messageType")
    assert answer == refused(kind if isinstance(kind, str) else None, 400, answer["reason"])
    assert member in answer["reason"], "the reason names the member"
    socket.expect_open()


@pytest.mark.parametrize("label", BAD_MEMBERS)
def test_400_members(phone: Phone, given: Given, label: str) -> None:
    member, make = BAD_MEMBERS[label]
    content = make(given)
    assert not ASYNC_API.matching(json.dumps(content), ASYNC_API.from_device), "the description forbids it"
    expect_bad_member(Socket(phone.loop), content, member)  # members are checked before the registration
    expect_bad_member(phone.connect(), content, member)


@pytest.mark.parametrize("kind", ["registerWA", "unregisterWA"])
@pytest.mark.parametrize("label", BAD_APPLICATIONS)
def test_400_applications(phone: Phone, given: Given, kind: str, label: str) -> None:
    member, changes = BAD_APPLICATIONS[label]
    if label == "PKCS#1 key":
        changes = {"pbkbase64": text64(phone.signer.pkcs1)}
    elif label == "key of 8193 bits":
        changes = {"pbkbase64": public_key_of(8193)}
    content = command(kind, **changes)(given)
    if not any(part in label for part in BEYOND_SCHEMAS):
        assert not ASYNC_API.matching(json.dumps(content), ASYNC_API.from_device), "the description forbids it"
    expect_bad_member(phone.connect(), content, member)


def test_keys_of_every_permitted_size(phone: Phone) -> None:
    """2048 to 8192 bits, by WATokens of 1 to 256 bytes."""
    socket = phone.connect()
    for bits, watoken in ((2048, "w"), (3072, "ü" * 128), (4096, "w" * 256), (8192, " ")):
        answer = socket.asked("registerWA", data={"watoken": watoken, "pbkbase64": public_key_of(bits)})
        assert answer["statusCode"] == 200, answer


@pytest.mark.parametrize("text", ["{", "nonsense", "", "[]", '"registerUA"', "null", "1", '{"messageType":"\\ud800"}', "{'a':1}", "{} {}"])
@pytest.mark.parametrize("is_registered", [False, True])
def test_400_not_json(phone: Phone, text: str, is_registered: bool) -> None:
    socket = phone.connect() if is_registered else Socket(phone.loop)
    socket.send(text)
    assert socket.hear() == refused(None, 400, "Data received is not a valid JSON package")
    socket.expect_close(1007)


def bad_tokens(token: str) -> dict[str, str]:
    swapped = token[:40] + ("A" if token[40] != "A" else "B") + token[41:]
    return {"empty": "", "a word": "secret", "altered": swapped, "cut": token[:-4], "longer": token + "AAAA", "padded": token + "=="}


BAD_TOKENS = list(bad_tokens("A" * 76))


@pytest.mark.parametrize("label", [*BAD_TOKENS, "of another server", "not canonical"])
def test_401_tokens(phone: Phone, label: str) -> None:
    """registerUA closes with 1008; the other commands leave the socket open."""
    reason = "Token is not valid for this server"
    if label == "of another server":
        token = new_token(FAULTY)
    elif label == "not canonical":
        token = phone.token + "\n"
    else:
        token = bad_tokens(phone.token)[label]
    anonymous = Socket(phone.loop)
    assert anonymous.asked("getAllMessages", data={"uatoken": token}) == refused("getAllMessages", 401, reason)
    anonymous.expect_open()
    assert anonymous.asked("registerUA", data={"uatoken": token}) == refused("registerUA", 401, reason)
    anonymous.expect_close(1008)
    registered = phone.connect()
    for kind in ("registerWA", "unregisterWA", "getAllMessages"):
        members = {} if kind == "getAllMessages" else phone.application
        assert registered.asked(kind, data={"uatoken": token, **members}) == refused(kind, 401, reason)
        registered.expect_open()
    assert registered.asked("registerUA", data={"uatoken": token}) == refused("registerUA", 401, reason)
    registered.expect_close(1008)


def test_401_token_of_another_device(phone: Phone, given: Given) -> None:
    reason = "Token is not valid for this server"
    socket = phone.connect()
    for kind in ("registerWA", "unregisterWA", "getAllMessages"):
        members = {} if kind == "getAllMessages" else phone.application
        assert socket.asked(kind, data={"uatoken": given.others_token, **members}) == refused(kind, 401, reason)
        socket.expect_open()
    assert socket.asked("registerUA", data={"uatoken": given.others_token}) == refused("registerUA", 401, reason)
    socket.expect_close(1008)


def test_401_expired_token(devices: HostLoop) -> None:
    token = new_token(STRICT)
    early = Socket(devices, STRICT)
    assert early.asked("registerUA", data={"uatoken": token})["statusCode"] == 200
    early.close()
    time.sleep(TOKEN_LIFETIME + 0.1)
    late = Socket(devices, STRICT)
    assert late.asked("registerUA", data={"uatoken": token}) == refused("registerUA", 401, "Token is not valid for this server")
    late.expect_close(1008)


BEFORE_REGISTRATION: dict[str, Make] = {
    "registerWA": command("registerWA"),
    "registerWA without token": command("registerWA", uatoken=...),
    "unregisterWA": command("unregisterWA"),
    "getRegisteredWA": plain(messageType="getRegisteredWA"),
    "unregisterUA": plain(messageType="unregisterUA"),
    "ack": plain(messageType="ack", messageId="0" * 24),
}


@pytest.mark.parametrize("label", BEFORE_REGISTRATION)
def test_401_before_registration(phone: Phone, given: Given, label: str) -> None:
    content = BEFORE_REGISTRATION[label](given)
    socket = Socket(phone.loop)
    socket.send(json.dumps(content))
    assert socket.hear() == refused(content["messageType"], 401, "Register the device first")
    socket.expect_close(1008)


@pytest.mark.parametrize("label", [label for label in BEFORE_REGISTRATION if label != "ack"])
def test_401_after_polling_only(phone: Phone, given: Given, label: str) -> None:
    """getAllMessages is no registration."""
    content = BEFORE_REGISTRATION[label](given)
    socket = Socket(phone.loop)
    assert socket.asked("getAllMessages", data={"uatoken": phone.token})["messages"] == []
    socket.send(json.dumps(content))
    assert socket.hear() == refused(content["messageType"], 401, "Register the device first")
    socket.expect_close(1008)


def test_409_app_token_in_use(phone: Phone, devices: HostLoop) -> None:
    """Two pairs with one AppToken: what stands before the PEM block may as well end the WAToken."""
    key = text64(b"abc" + phone.signer.pem)
    socket = phone.connect()
    assert socket.asked("registerWA", data={"watoken": phone.watoken, "pbkbase64": key})["statusCode"] == 200
    other = Phone(devices, phone.signer).connect()
    answer = other.asked("registerWA", data={"watoken": phone.watoken + key[:4], "pbkbase64": key[4:]})
    assert answer == refused("registerWA", 409, "AppToken already in use")
    other.expect_open()


def test_404_not_registered(phone: Phone, devices: HostLoop) -> None:
    """Neither what nobody has registered, nor what only another device has, nor the same once more."""
    socket = phone.connect()
    expected = refused("unregisterWA", 404, "Not registered")
    assert socket.asked("unregisterWA", data=phone.application) == expected
    other = Phone(devices, phone.signer, watoken=phone.watoken)
    _, url = other.registered()
    assert socket.asked("unregisterWA", data=phone.application) == expected
    assert phone.register(socket) == url
    assert socket.asked("unregisterWA", data=phone.application)["status"] == "UNREGISTERED"
    assert socket.asked("unregisterWA", data=phone.application) == expected
    socket.expect_open()
    assert phone.signer.post(url, "the other has it still").status == 200


@pytest.mark.parametrize("message_id", ["", "unknown", "0" * 24, "f" * 24, "x" * 300])
def test_unknown_ack_is_ignored(phone: Phone, message_id: str) -> None:
    socket = phone.connect()
    socket.say("ack", messageId=message_id)
    socket.expect_open()


@pytest.mark.parametrize("kind", ["", "registerua", "notification", "PING", "ünknown"])
def test_405_unknown_message_type(phone: Phone, kind: str) -> None:
    for socket in (Socket(phone.loop), phone.connect()):
        socket.send(json.dumps({"messageType": kind, "data": 5}))
        assert socket.hear() == refused(kind, 405, "messageType not recognized")
        socket.expect_open()


def test_503_store_unavailable(devices: HostLoop, signer: Signer, faulty: FaultyWorker) -> None:
    phone = Phone(devices, signer, FAULTY)
    registered, url = phone.registered()
    anonymous = Socket(devices, FAULTY)
    newcomer = {"uatoken": new_token(FAULTY)}
    commands: list[tuple[str, Event]] = [
        ("getRegisteredWA", {}),
        ("getAllMessages", {"data": {"uatoken": phone.token}}),
        ("unregisterWA", {"data": phone.application}),
        ("registerWA", {"data": phone.application}),
        ("unregisterUA", {}),
    ]
    with faulty.broken():
        for kind, members in commands:
            assert registered.asked(kind, **members) == refused(kind, 503, "Try again later")
            registered.expect_open()
        assert anonymous.asked("registerUA", data=newcomer) == refused("registerUA", 503, "Try again later")
        anonymous.expect_open()
    assert anonymous.asked("registerUA", data=newcomer)["statusCode"] == 200
    assert signer.send(url, "nothing is lost") == registered.notification()["messageId"]
    for kind, members in commands:
        assert registered.asked(kind, **members)["statusCode"] == 200
    registered.expect_close(1000)


def test_a_refused_command_is_not_done(phone: Phone) -> None:
    """A forged token on a registered connection registers nothing."""
    socket = phone.connect()
    socket.asked("registerWA", data={"uatoken": "forged", **phone.application})
    assert socket.asked("getRegisteredWA")["urls"] == []
    assert ask("POST", f"/notify/{app_token(**phone.application)}", b"{}").status == 404
