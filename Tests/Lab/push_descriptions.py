"""docs/openapi.yaml and docs/asyncapi.yaml as judges of what the push service answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http.client import HTTPMessage
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import yaml  # type: ignore[import-untyped]

from sluicelab.paths import PROJECT

Description = dict[str, Any]


class Document:
    """A description with internal references only."""

    def __init__(self, name: str, validator: Any) -> None:
        with (PROJECT / "docs" / name).open(encoding="utf-8") as file:
            self.content: Description = yaml.safe_load(file)
        self.name = name
        self._validator = validator
        self._resolver = jsonschema.RefResolver.from_schema(self.content)

    def resolve(self, node: Any) -> Any:
        """What a node is, when it is a reference."""
        while isinstance(node, dict) and "$ref" in node:
            node = self._resolver.resolve(node["$ref"])[1]
        return node

    def errors(self, schema: Any, value: Any) -> list[str]:
        """What is wrong with a value; formats are checked too."""
        validator = self._validator(schema, resolver=self._resolver, format_checker=jsonschema.FormatChecker())
        return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in validator.iter_errors(value)]

    def check_schema(self, schema: Any) -> None:
        self._validator.check_schema(schema)

    def references(self) -> Iterator[str]:
        """Every reference in the document."""

        def walk(node: Any) -> Iterator[str]:
            if isinstance(node, dict):
                if isinstance(node.get("$ref"), str):
                    yield node["$ref"]
                for value in node.values():
                    yield from walk(value)
            elif isinstance(node, list):
                for value in node:
                    yield from walk(value)

        return walk(self.content)


class OpenAPI(Document):
    """The HTTP part. `seen` are the described answers that were checked: path, method (or `other`), status."""

    def __init__(self) -> None:
        super().__init__("openapi.yaml", jsonschema.Draft202012Validator)
        self.seen: set[tuple[str, str, int]] = set()

    def described(self) -> set[tuple[str, str, int]]:
        found = {("other", "other", int(status)) for status in self.content["x-other-paths"]}
        for path, item in self.content["paths"].items():
            found |= {(path, "other", int(status)) for status in item["x-other-methods"]}
            for method in ("get", "post", "options"):
                found |= {(path, method, int(status)) for status in item.get(method, {}).get("responses", {})}
        return found

    def _path(self, path: str) -> tuple[str, Description] | None:
        for template, item in self.content["paths"].items():
            if re.fullmatch(re.sub(r"\{[^}]*\}", ".*", template), path):
                return template, item
        return None

    def check(self, method: str, path: str, status: int, fields: HTTPMessage, body: bytes) -> None:
        """Fails unless this answer to this request is described."""
        found = self._path(path.split("?")[0])
        if found is None:
            key, responses = ("other", "other"), self.content["x-other-paths"]
        else:
            template, item = found
            if method.lower() in item:
                key, responses = (template, method.lower()), item[method.lower()]["responses"]
            else:
                key, responses = (template, "other"), item["x-other-methods"]
        what = f"{method} {path[:80]} -> {status} {body[:200]!r}"
        response = self.resolve(responses.get(str(status)))
        assert response is not None, f"{self.name} does not describe {what}"
        self.seen.add((*key, status))
        for name, header in response.get("headers", {}).items():
            header = self.resolve(header)
            value = fields.get(name)
            assert value is not None or not header.get("required"), f"{what}: {self.name} wants the field {name}"
            if value is not None:
                errors = self.errors(header["schema"], value)
                assert not errors, f"{what}: the field {name} is {value!r}: {errors}"
        if method != "HEAD":
            self._check_body(response.get("content"), fields, body, what)

    def _check_body(self, content: Description | None, fields: HTTPMessage, body: bytes, what: str) -> None:
        if content is None:
            assert body == b"", f"{what}: {self.name} describes no body"
            return
        kind = (fields.get("Content-Type") or "").split(";")[0]
        assert kind in content, f"{what}: {self.name} does not describe the type {kind!r}"
        value = json.loads(body) if kind == "application/json" else body.decode()
        errors = self.errors(content[kind]["schema"], value)
        assert not errors, f"{what}: {errors}"


class AsyncAPI(Document):
    """The WebSocket part. `seen` are the names of the messages that were checked."""

    def __init__(self) -> None:
        super().__init__("asyncapi.yaml", jsonschema.Draft7Validator)
        self.seen: set[str] = set()
        self.from_device: set[str] = set()
        self.from_service: set[str] = set()
        for operation in self.content["operations"].values():
            names = {self._name(reference) for reference in operation["messages"]}
            (self.from_device if operation["action"] == "receive" else self.from_service).update(names)
            self.from_service.update(self._name(reference) for reference in operation.get("reply", {}).get("messages", []))

    @staticmethod
    def _name(reference: dict[str, str]) -> str:
        return reference["$ref"].rsplit("/", 1)[1]

    def message(self, name: str) -> Description:
        found: Description = self.resolve(self.content["components"]["messages"][name])
        return found

    def matching(self, text: str, names: set[str]) -> set[str]:
        """The messages of these that a text frame is."""
        found = set()
        for name in names:
            message = self.message(name)
            if message.get("contentType") == "text/plain":
                value: Any = text
            else:
                try:
                    value = json.loads(text)
                except ValueError:
                    continue
            if not self.errors(message["payload"], value):
                found.add(name)
        return found

    def check_received(self, text: str) -> None:
        """Fails unless a frame of the service is exactly one of the messages that it may send."""
        found = self.matching(text, self.from_service)
        assert len(found) == 1, f"expected one message of {self.name}; got {sorted(found)} for {text[:500]}"
        self.seen |= found

    def check_sent(self, text: str) -> None:
        """Fails unless a frame of a device is exactly one of the messages that it may send."""
        found = self.matching(text, self.from_device)
        assert len(found) == 1, f"expected one command of {self.name}; got {sorted(found)} for {text[:500]}"
        self.seen |= found


OPEN_API = OpenAPI()
ASYNC_API = AsyncAPI()
