"""Headless Chromium in a host of the lab, driven by the DevTools protocol over python3-websockets."""

from __future__ import annotations

import asyncio
import http.client
import json
import shutil
import time
from pathlib import Path
from typing import Any

import websockets
from websockets.legacy.client import WebSocketClientProtocol

from push_clients import HostLoop
from sluicelab.namespaces import inside
from sluicelab.processes import Process

NOBODY = "nobody"
OPTIONS = [
    "--headless",
    "--no-sandbox",  # its sandbox needs user namespaces, which a container may forbid; it runs without privileges anyway
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--mute-audio",
    "--password-store=basic",
    "--remote-debugging-port=0",
]


class Browser:
    """One Chromium with its own profile, as the user nobody."""

    def __init__(self, host: str, folder: Path, loop: HostLoop) -> None:
        self.host, self.loop = host, loop
        profile = folder / "profile"
        profile.mkdir(parents=True)
        shutil.chown(profile, NOBODY)
        command: list[str | Path] = ["setpriv", f"--reuid={NOBODY}", "--regid=nogroup", "--clear-groups", "env", f"HOME={profile}"]
        command += ["chromium", *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
        self.process = Process(host, command, folder / "chromium.log")
        port_file = profile / "DevToolsActivePort"
        self.process.until(lambda: port_file.exists() and "\n" in port_file.read_text(), "Chromium's DevTools", 30)
        self._port = int(port_file.read_text().splitlines()[0])

    def page(self, url: str) -> Page:
        """A new tab that shows that address."""
        with inside(self.host):
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
            connection.request("PUT", "/json/new?about:blank")
            target = json.loads(connection.getresponse().read())
            connection.close()
        page = Page(self.loop, target["webSocketDebuggerUrl"])
        page.open(url)
        return page

    def stop(self) -> None:
        self.process.stop()


class Page:
    """A tab."""

    def __init__(self, loop: HostLoop, debugger: str) -> None:
        self._loop = loop
        self._number = 0
        self.said: list[str] = []  # by console.* and uncaught errors
        self._socket: WebSocketClientProtocol = loop.do(self._connect(debugger))
        self._command("Runtime.enable")
        self._command("Page.enable")

    @staticmethod
    async def _connect(debugger: str) -> WebSocketClientProtocol:
        socket = await websockets.connect(debugger, max_size=None, compression=None, ping_interval=None)  # type: ignore[attr-defined]
        assert isinstance(socket, WebSocketClientProtocol)
        return socket

    def _command(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        number = self._number

        async def exchange() -> Any:
            await self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
            while True:
                answer = json.loads(await asyncio.wait_for(self._socket.recv(), 15))
                if answer.get("id") == number:
                    return answer
                self._note(answer)

        answer = self._loop.do(exchange(), 20)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def _note(self, event: Any) -> None:
        if event["method"] == "Runtime.consoleAPICalled":
            values = [str(argument.get("value", argument.get("description"))) for argument in event["params"]["args"]]
            self.said.append(" ".join(values))
        elif event["method"] == "Runtime.exceptionThrown":
            details = event["params"]["exceptionDetails"]
            self.said.append(details.get("exception", {}).get("description", details["text"]))

    def open(self, url: str) -> None:
        result = self._command("Page.navigate", url=url)
        assert "errorText" not in result, f"{url}: {result['errorText']}"
        self.until(f"location.href === {json.dumps(url)} && document.readyState === 'complete'", f"{url} is loaded")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression; of a promise, what it is fulfilled with."""
        result = self._command("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in result, f"{expression}: {result['exceptionDetails']}; the page said: {self.said}"
        return result["result"].get("value")

    def until(self, expression: str, what: str, timeout: float = 10) -> None:
        deadline = time.monotonic() + timeout
        while not self.evaluate(f"Promise.resolve({expression}).then(Boolean)"):
            assert time.monotonic() < deadline, f"expected within {timeout} s: {what}; the page said: {self.said}"
            time.sleep(0.05)

    def close(self) -> None:
        self._command("Page.close")
        self._loop.do(self._socket.close())
