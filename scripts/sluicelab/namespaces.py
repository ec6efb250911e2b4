"""Being in a host of the lab: a thread can enter its network namespace, and what sockets it then opens belong there for good."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
Result = TypeVar("Result")


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:  # os.setns came with Python 3.12
        error = ctypes.get_errno()
        raise OSError(error, f"setns: {os.strerror(error)}")


@contextmanager
def inside(host: str) -> Iterator[None]:
    """Until the block ends, sockets that this thread opens and processes that it starts are in that host; other threads stay out."""
    before = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(f"/run/netns/sluice-{host}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _enter(before)
    finally:
        os.close(before)


class HostThread(Generic[Result]):
    """A function that runs in a thread of its own, in that host from its first line to its last."""

    def __init__(self, host: str, run: Callable[[], Result], name: str = "") -> None:
        self._host, self._run = host, run
        self._result: list[Result] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name=name or f"in {host}", daemon=True)
        self._thread.start()

    def _main(self) -> None:
        try:
            with inside(self._host):
                self._result.append(self._run())
        except BaseException as error:  # handed to whoever waits
            self._error = error

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def result(self, timeout: float) -> Result:
        """What the function returned; raises what it raised."""
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise TimeoutError(f"still at work in {self._host} after {timeout} s")
        if self._error is not None:
            raise self._error
        return self._result[0]


def run_in(host: str, run: Callable[[], Result], timeout: float = 60) -> Result:
    return HostThread(host, run).result(timeout)
