"""docs/push.md does what it says: its code runs as it stands, against workers behind the dispatcher. The page's JavaScript is run by
test_push_browser.py. The two descriptions are whole, and what they show as examples is as they say."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from push_clients import ask
from push_descriptions import ASYNC_API, OPEN_API, Document
from sluicelab.dispatcher import Dispatcher
from sluicelab.network import PUSH_ADDRESS
from sluicelab.paths import PROJECT
from test_push import configure, workers

__all__ = ["configure", "workers"]

NEEDS = ["workers"]
DOCS = PROJECT / "docs"


def blocks(language: str) -> list[tuple[str, str]]:
    """The fenced blocks of docs/push.md in that language: the file that each is named for, and its text."""
    text = (DOCS / "push.md").read_text(encoding="utf-8")
    found = re.findall(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(name, code) for kind, name, code in found if kind == language]


def test_the_page_has_its_code() -> None:
    assert [name for name, _ in blocks("python")] == ["device.py", "send.py"]
    assert [name for name, _ in blocks("javascript")] == ["page.js"]
    assert len(blocks("sh")) == 5
    for _, code in blocks("python"):
        assert len([line for line in code.splitlines() if line.strip()]) <= 22, "a dozen lines or two"


@pytest.fixture
def quick_start(dispatcher: Dispatcher, folder: Path) -> Iterator[tuple[Path, str]]:
    """Every shell block of the page in one shell in client1; the folder, and what it printed. What it left running ends afterwards."""
    for name, code in blocks("python"):
        (folder / name).write_text(code, encoding="utf-8")
    script = "\n".join(code for _, code in blocks("sh"))
    (folder / "quick-start.sh").write_text(script, encoding="utf-8")
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PUSH": f"http://{PUSH_ADDRESS}", "LC_ALL": "C.UTF-8"}
    with (folder / "output").open("wb") as output:
        shell = subprocess.Popen(
            ["/usr/sbin/ip", "netns", "exec", "sluice-client1", "bash", "-euo", "pipefail", "quick-start.sh"],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        status = shell.wait(40)
        text = (folder / "output").read_text()
        assert status == 0, f"the quick start ended with {status}:\n{text}"
        yield folder, text
    finally:
        os.killpg(shell.pid, signal.SIGKILL)  # the session has the device in it
        shell.wait()


def test_quick_start(quick_start: tuple[Path, str]) -> None:
    folder, output = quick_start
    log = folder / "device.log"
    deadline = time.monotonic() + 5
    while log.read_text().count('"notification"') < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    lines = log.read_text().splitlines()
    for line in lines:
        ASYNC_API.check_received(line)
    events = [json.loads(line) for line in lines]
    assert [event["messageType"] for event in events] == ["registerUA", "registerWA", "notification", "notification"]
    assert [event["message"] for event in events[2:]] == ["Goal! 2:1", "Full time: 2:1"]
    # curl's answer, and Python's.
    accepted = re.findall(r"\{[^}]*\}", output)
    assert len(accepted) == 2, output
    answers = [json.loads(accepted[0]), json.loads(accepted[1].replace("'", '"'))]
    for answer, event in zip(answers, events[2:], strict=True):
        assert not OPEN_API.errors({"$ref": "#/components/schemas/Accepted"}, answer)
        assert answer["messageId"] == event["messageId"]


# MARK: The descriptions

DOCUMENTS: list[Document] = [OPEN_API, ASYNC_API]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_references_lead_somewhere(document: Document) -> None:
    references = set(document.references())
    assert references
    for reference in references:
        assert reference.startswith("#/")
        assert document.resolve({"$ref": reference}) is not None, reference


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_nothing_is_described_in_vain(document: Document) -> None:
    """Every component is referred to."""
    references = set(document.references())
    for kind, components in document.content["components"].items():
        for name in components:
            assert f"#/components/{kind}/{name}" in references, f"{kind} {name}"


def schemas() -> Iterator[tuple[Document, str, Any]]:
    for document in DOCUMENTS:
        for name, schema in document.content["components"]["schemas"].items():
            yield document, name, schema
    for name, message in ASYNC_API.content["components"]["messages"].items():
        yield ASYNC_API, name, message["payload"]


@pytest.mark.parametrize(("document", "name", "schema"), schemas(), ids=lambda value: value if isinstance(value, str) else "")
def test_schemas_are_schemas(document: Document, name: str, schema: Any) -> None:
    document.check_schema(schema)
    for example in schema.get("examples", []):
        assert not document.errors(schema, example), name


def test_asyncapi_examples() -> None:
    examined = 0
    for name in ASYNC_API.content["components"]["messages"]:
        message = ASYNC_API.message(name)
        for example in message.get("examples", []):
            assert not ASYNC_API.errors(message["payload"], example["payload"]), name
            examined += 1
    assert examined > 5


def test_asyncapi_operations() -> None:
    """As AsyncAPI 3.0 wants it: messages of operations and replies are those of their channel, and each is said by one side."""
    assert ASYNC_API.content["asyncapi"] == "3.0.0"
    channel = ASYNC_API.content["channels"]["device"]["messages"]
    for name, operation in ASYNC_API.content["operations"].items():
        assert operation["action"] in ("send", "receive"), name
        for part in (operation, operation.get("reply", operation)):
            assert part["channel"] == {"$ref": "#/channels/device"}
            for reference in part["messages"]:
                assert reference["$ref"].removeprefix("#/channels/device/messages/") in channel, name
    assert ASYNC_API.from_device | ASYNC_API.from_service == set(channel)
    assert not ASYNC_API.from_device & ASYNC_API.from_service


def test_openapi_operations() -> None:
    """Identifiers are unique, parameters of paths are declared, every response says what it is."""
    assert OPEN_API.content["openapi"].startswith("3.1.")
    identifiers: list[str] = []
    for path, item in OPEN_API.content["paths"].items():
        declared = {parameter["name"] for parameter in item.get("parameters", []) if parameter["in"] == "path"}
        assert declared == set(re.findall(r"\{(\w+)\}", path))
        for method in ("get", "head", "post", "options"):
            operation = item.get(method, {})
            identifiers += [operation["operationId"]] if "operationId" in operation else []
            for response in operation.get("responses", {}).values():
                assert OPEN_API.resolve(response)["description"]
    assert len(identifiers) == len(set(identifiers)) >= 5


def test_the_page_names_what_is_there() -> None:
    """Links lead to files; reasons and close codes that the page tells are those of the descriptions."""
    text = (DOCS / "push.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (DOCS / target).exists(), target
    described = json.dumps(OPEN_API.content)
    for reason in ("No valid AppToken", "No valid HTTP method", "Body too big", "Try again later"):
        assert f"`{reason}`" in text and reason in described


@pytest.mark.parametrize("name", ["mozpush.js", "mozpush.html"])
def test_pages_of_every_origin_may_use_the_service(dispatcher: Dispatcher, name: str) -> None:
    """What the client fetches across origins is a simple request: no field of it needs to be permitted first."""
    assert "headers:" not in (DOCS / name).read_text(encoding="utf-8")
    assert ask("GET", "/token", fields={"Origin": "null"}).fields["Access-Control-Allow-Origin"] == "*"
