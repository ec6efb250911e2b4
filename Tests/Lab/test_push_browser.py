"""docs/mozpush.js and docs/mozpush.html in Chromium, which loads the page and reaches the workers through the dispatcher.

The page comes from another origin than the push service: from nginx behind another service address.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import test_push
from browser import Browser, Page
from conftest import started
from push_clients import HostLoop, Signer
from push_workers import devices, signer
from sluicelab.dispatcher import Configuration, Dispatcher, pool, service
from sluicelab.network import FILES_ADDRESS, PUSH_ADDRESS, server_address
from sluicelab.paths import PROJECT
from sluicelab.processes import Process
from test_push import workers
from test_push_developers import blocks

__all__ = ["devices", "signer", "workers"]

NEEDS = ["workers", "pages"]
SERVICE = f"http://{PUSH_ADDRESS}"
ORIGIN = f"http://{FILES_ADDRESS}"
DEMO = f"{ORIGIN}/mozpush.html?server={SERVICE}"


def configure() -> Configuration:
    config = test_push.configure()
    config["services"].append(service("pages", f"{FILES_ADDRESS}:80", "pages"))
    config["pools"].append(pool("pages", [f"{server_address(number)}:80" for number in (1, 2)]))
    return config


@pytest.fixture(scope="module")
def pages(file_servers: list[str], workspace: Path) -> None:
    """What nginx serves besides its files: the demo page and the client, and the example of docs/push.md as a page."""
    folder = workspace / "files"
    for name in ("mozpush.html", "mozpush.js"):
        shutil.copy(PROJECT / "docs" / name, folder / name)
    ((_, tag),) = blocks("html")
    tag = tag.replace("https://push.example.org", SERVICE)
    assert SERVICE in tag
    (folder / "example.html").write_text(f"<!doctype html><meta charset=utf-8><title>example</title>\n{tag}", encoding="utf-8")


@pytest.fixture(scope="module")
def browser(dispatcher: Dispatcher, workspace: Path, devices: HostLoop) -> Iterator[Browser]:
    running = Browser("client1", workspace / "browser", devices)
    started.append(running.process)
    yield running
    running.stop()
    started.remove(running.process)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab that begins without a memory."""
    tab = browser.page(f"{ORIGIN}/example.html")
    tab.evaluate("localStorage.clear()")
    tab.open("about:blank")
    yield tab
    tab.close()


def shown(page: Page) -> list[str]:
    """The messages on the demo page."""
    texts: list[str] = page.evaluate("Array.from(document.querySelectorAll('#messages li'), (item) => item.textContent)")
    return texts


def until_shown(page: Page, texts: list[str]) -> None:
    page.until(f"document.querySelectorAll('#messages li').length >= {len(texts)}", f"the page shows {texts}")
    assert shown(page) == texts


def requested(page: Page, signer: Signer, address: str = DEMO) -> str:
    """Fills in the form of the demo page; the URL that it then shows."""
    page.open(address)
    page.evaluate(f"document.getElementById('pbk').value = {json.dumps(signer.pem.decode())}")
    page.evaluate("document.getElementById('request').click()")
    page.until("document.getElementById('url').value", "a URL on the page")
    url: str = page.evaluate("document.getElementById('url').value")
    assert url.startswith(f"{SERVICE}/notify/")
    assert page.evaluate("document.getElementById('state').textContent") == "connected"
    return url


def test_the_page_shows_a_message(page: Page, signer: Signer) -> None:
    url = requested(page, signer)
    message_id = signer.send(url, "grüße <b>from</b> the server")
    until_shown(page, ["grüße <b>from</b> the server"])
    assert page.evaluate("document.querySelector('#messages li').dataset.messageId") == message_id
    for number in range(40):
        signer.send(url, f"message {number}")
    until_shown(page, ["grüße <b>from</b> the server", *(f"message {number}" for number in range(40))])
    assert page.said == []


def test_a_page_that_comes_back_is_the_same_device(page: Page, signer: Signer) -> None:
    """What came while it was away is there at once, and what it has had is not."""
    url = requested(page, signer)
    signer.send(url, "one")
    until_shown(page, ["one"])
    time.sleep(0.2)  # the acknowledgement is on its way
    page.open("about:blank")
    signer.send(url, "two")
    signer.send(url, "three")
    page.open(DEMO)
    until_shown(page, ["two", "three"])
    assert page.evaluate("document.getElementById('url').value") == url
    page.evaluate("document.getElementById('request').click()")
    page.until("document.getElementById('state').textContent === 'connected'", "the page is connected")
    assert page.evaluate("document.getElementById('url').value") == url, "the same key has the same URL"


def test_the_example_of_the_page(page: Page, signer: Signer) -> None:
    """The JavaScript of docs/push.md as it stands."""
    ((_, code),) = blocks("javascript")
    page.open(f"{ORIGIN}/example.html")
    page.evaluate(f"globalThis.PUBLIC_KEY = {json.dumps(signer.pem.decode())}")
    page.evaluate(f"(0, eval)({json.dumps(code)})")
    page.until("navigator.mozPush.getCurrentURL().then(() => true, () => false)", "a URL")
    url: str = page.evaluate("navigator.mozPush.getCurrentURL().then((result) => result.url)")
    signer.send(url, "to the example")
    deadline = time.monotonic() + 5
    while len(page.said) < 2 and time.monotonic() < deadline:
        page.evaluate("1")  # events come with answers
        time.sleep(0.05)
    assert page.said == [f"send this to your server: {url}", "message: to the example"]


def test_the_interface_of_the_document(page: Page, signer: Signer) -> None:
    """Chapter 3, "API between WebApp and the User Agent": both ways of giving the parameters, result.url, onsuccess and onerror."""
    page.open(f"{ORIGIN}/example.html")
    pbk = json.dumps(signer.pbk)
    told = "new Promise((resolve) => { request.onsuccess = (e) => resolve([e.type, e.target === request, request.result.url]); %s })"
    told %= "request.onerror = (e) => resolve([e.type, e.target === request, request.error.message]);"

    def outcome(call: str) -> tuple[str, bool, str]:
        kind, is_own, text = page.evaluate(f"(() => {{ const request = {call}; return {told}; }})()")
        return kind, is_own, text

    kind, is_own, text = outcome("navigator.mozPush.getCurrentURL()")
    assert (kind, is_own) == ("error", True) and "requestURL" in text
    kind, is_own, first = outcome(f"navigator.mozPush.requestURL('my user', {pbk})")
    assert (kind, is_own) == ("success", True)
    assert outcome("navigator.mozPush.getCurrentURL()") == ("success", True, first)
    assert outcome(f"navigator.mozPush.requestURL({{ watoken: 'my user', pbk: {pbk} }})") == ("success", True, first)
    kind, _, random_one = outcome(f"navigator.mozPush.requestURL(undefined, {pbk})")
    assert kind == "success" and random_one != first
    kind, _, text = outcome("navigator.mozPush.requestURL('my user', 'no key')")
    assert kind == "error" and text.startswith("the push service refused: 400")
    kind, _, text = outcome("navigator.mozPush.requestURL('my user')")
    assert kind == "error" and "pbk" in text
    # A message that came before there was a handler waits for it.
    signer.send(first, "early")
    time.sleep(0.3)
    page.evaluate("void navigator.mozSetMessageHandler('push-notification', (notification) => { globalThis.got = notification; })")
    page.until("globalThis.got", "the message")
    got = page.evaluate("got")
    assert (got["message"], got["url"], got["messageType"]) == ("early", first, "notification")
    with pytest.raises(AssertionError, match="there are no messages of type"):
        page.evaluate("navigator.mozSetMessageHandler('alarm', () => {})")


def test_a_handler_that_fails_gets_the_message_again(page: Page, signer: Signer) -> None:
    """When the page comes back: it was not acknowledged."""
    page.open(f"{ORIGIN}/example.html")
    url = page.evaluate(f"navigator.mozPush.requestURL('w', {json.dumps(signer.pbk)}).then((result) => result.url)")
    page.evaluate("void navigator.mozSetMessageHandler('push-notification', async () => { throw new Error('no room'); })")
    signer.send(url, "keep me")
    time.sleep(0.5)
    page.open(f"{ORIGIN}/example.html")
    page.evaluate("void navigator.mozSetMessageHandler('push-notification', (notification) => { globalThis.got = notification.message; })")
    page.until("globalThis.got === 'keep me'", "the message again")
    assert any("no room" in text for text in page.said)


def test_two_tabs_are_one_device(browser: Browser, page: Page, signer: Signer) -> None:
    """The newer one gets the messages; the older one is told so and stays quiet."""
    url = requested(page, signer)
    other = browser.page(DEMO)
    other.until("document.getElementById('state').textContent === 'connected'", "the newer tab is connected")
    page.until("document.getElementById('state').textContent === 'replaced'", "the older tab is told")
    signer.send(url, "to the newer")
    until_shown(other, ["to the newer"])
    time.sleep(1.5)  # longer than the first pause before a client comes back
    assert shown(page) == []
    assert page.evaluate("document.getElementById('state').textContent") == "replaced"
    assert other.evaluate("document.getElementById('state').textContent") == "connected"
    other.close()


def test_forgetting(page: Page, signer: Signer) -> None:
    """The URL ends, and the next visit is another device."""
    url = requested(page, signer)
    page.evaluate("document.getElementById('forget').click()")
    page.until("document.getElementById('state').textContent === 'forgotten'", "the device is forgotten")
    assert signer.post(url, "nobody").status == 404
    assert requested(page, signer) != url


def test_a_token_that_is_no_longer_good(page: Page, signer: Signer) -> None:
    """Another device begins by itself, with the same applications."""
    url = requested(page, signer)
    key = f"mozpush {SERVICE}"
    page.open(f"{ORIGIN}/example.html")
    page.evaluate(
        f"localStorage.setItem({json.dumps(key)}, JSON.stringify({{ ...JSON.parse(localStorage.getItem({json.dumps(key)})), token: 'bad' }}))"
    )
    page.open(DEMO)
    page.until("document.getElementById('state').textContent === 'connected'", "the page is connected")
    signer.send(url, "still reached")
    until_shown(page, ["still reached"])


def test_a_connection_that_died_is_noticed(page: Page, signer: Signer) -> None:
    """`PING` is answered while all is well. When nothing comes back the client connects anew, and tells nothing twice."""
    page.open(f"{ORIGIN}/example.html")
    page.evaluate(f"globalThis.device = new MozPush('{SERVICE}', {{ keepAlive: 150, storage: {{ getItem: () => null, setItem() {{}} }} }})")
    page.evaluate("globalThis.states = []; globalThis.got = []; device.onstate = (state) => states.push(state)")
    url = page.evaluate(f"device.requestURL('w', {json.dumps(signer.pbk)}).then((result) => result.url)")
    page.evaluate("device.setMessageHandler('push-notification', (notification) => { got.push(notification.message); })")
    time.sleep(0.8)
    assert page.evaluate("states") == ["connected"], "some PINGs were answered"
    page.evaluate("globalThis.send = WebSocket.prototype.send; void 0")
    page.evaluate("WebSocket.prototype.send = function (text) { if (!text.includes('ack')) send.call(this, text); }; void 0")
    signer.send(url, "its acknowledgement is lost")
    page.until("got.length", "the message")
    page.evaluate("WebSocket.prototype.send = () => {}; void 0")
    page.until("states.includes('disconnected')", "the client notices")
    assert page.evaluate("got") == ["its acknowledgement is lost"]
    page.evaluate("void (WebSocket.prototype.send = send)")
    page.until("states.at(-1) === 'connected'", "the client is connected again")
    signer.send(url, "after that")
    page.until("got.length >= 2", "the next message")
    assert page.evaluate("got") == ["its acknowledgement is lost", "after that"]


def test_no_service(page: Page, signer: Signer) -> None:
    """A clear word where nothing answers."""
    page.open(f"{ORIGIN}/mozpush.html?server=http://127.0.0.1:9")
    page.evaluate(f"document.getElementById('pbk').value = {json.dumps(signer.pem.decode())}")
    page.evaluate("document.getElementById('request').click()")
    page.until("document.getElementById('state').textContent.startsWith('cannot reach the push service http://127.0.0.1:9')", "the reason")


def restart(workers: list[Process], index: int) -> None:
    old = workers[index]
    assert old.stop() == 0
    host = f"server{index + 1}"
    workers[index] = Process(host, old.command, old.log)
    started[started.index(old)] = workers[index]
    address = f"http://{server_address(index + 1)}:8080/status"
    workers[index].until(lambda: test_push.fetch(address, host)[0] == 200, "a worker that answers /status", 15)


def test_the_client_comes_back_after_its_worker_has_gone(page: Page, signer: Signer, workers: list[Process]) -> None:
    """Whichever it was: its socket ends, it is told so, goes where the dispatcher then leads it, and has missed nothing."""
    url = requested(page, signer)
    page.evaluate("globalThis.states = []; devices.values().next().value.onstate = (state) => states.push(state)")
    texts: list[str] = []
    for index in range(len(workers)):
        restart(workers, index)
        texts.append(f"after the restart of worker {index + 1}")
        signer.send(url, texts[-1])
    page.until("states.includes('disconnected') && states.at(-1) === 'connected'", "the page is connected again", timeout=15)
    until_shown(page, texts)
