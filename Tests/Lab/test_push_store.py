"""The store of real workers on loopback, without the lab network: a full disk, workers that are killed, back-up and restore, damage."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
import secrets
import shutil
import signal
import sqlite3
import subprocess
import time
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import websockets

from sluicelab.paths import binary
from test_push import Key, hear, say

TEXT = "x" * 3000


class Worker:
    """A worker process on loopback; with the same data directory as others it works with them."""

    def __init__(self, data: Path, log: Path, *options: str) -> None:
        self.log = log
        start = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [binary("sluice-worker"), "--data", data, "--ua-port", "0", "--as-port", "0", "--public-url", "http://push.test", *options],
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        for _ in range(200):
            ports = re.search(rb"devices on port (\d+), application servers on port (\d+)", log.read_bytes()[start:])
            if ports:
                self.device_port, self.server_port = int(ports[1]), int(ports[2])
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)
                break
        raise AssertionError(f"the worker did not start:\n{log.read_text()}")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(20)

    def token(self) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.device_port, timeout=10)
        connection.request("GET", "/token")
        return connection.getresponse().read().decode()


class Sender:
    """An application server; all its messages have the same text, and each an id of its own."""

    def __init__(self, key: Key, path: str, text: str = TEXT) -> None:
        self.path = path
        self.content = {"messageType": "notification", "message": text, "signature": key.sign(text)}

    def post(self, worker: Worker, name: str) -> tuple[int, str | None]:
        """Status and Retry-After."""
        connection = http.client.HTTPConnection("127.0.0.1", worker.server_port, timeout=20)
        try:
            connection.request("POST", self.path, json.dumps({**self.content, "id": name}))
            answer = connection.getresponse()
            answer.read()
            return answer.status, answer.headers["Retry-After"]
        finally:
            connection.close()


def register(worker: Worker, key: Key) -> tuple[str, str]:
    """A device with one application: its token, and the path for application servers."""
    token = worker.token()

    async def main() -> str:
        async with websockets.connect(f"ws://127.0.0.1:{worker.device_port}/", compression=None) as socket:  # type: ignore[attr-defined]
            await say(socket, "registerUA", uatoken=token)
            assert (await hear(socket))["statusCode"] == 200
            await say(socket, "registerWA", watoken=secrets.token_hex(8), pbkbase64=key.public)
            return str((await hear(socket))["url"]).removeprefix("http://push.test")

    return token, asyncio.run(main())


def receive(worker: Worker, token: str, count: int) -> list[str]:
    """The ids of the messages that come, each acknowledged, until there are `count` or none comes for a second."""

    async def main() -> list[str]:
        names: list[str] = []
        async with websockets.connect(f"ws://127.0.0.1:{worker.device_port}/", compression=None) as socket:  # type: ignore[attr-defined]
            await say(socket, "registerUA", uatoken=token)
            assert (await hear(socket))["statusCode"] == 200
            with contextlib.suppress(asyncio.TimeoutError):
                while len(names) < count:
                    event = await hear(socket, 2)
                    names.append(event["id"])
                    await socket.send(json.dumps({"messageType": "ack", "messageId": event["messageId"]}))
        return names

    return asyncio.run(main())


def store(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([binary("sluice"), "store", *words], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 12 MiB."""
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m,mode=700", "sluice-small-disk", disk], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


class LoopDisk:
    """An ext4 file system in a file that takes no room where nothing was written. When there is no room left beneath it, writing fails as on
    a broken disk, and the kernel makes it read-only."""

    def __init__(self, folder: Path) -> None:
        self.beneath, self.path = folder / "beneath", folder / "disk"
        self.image = self.beneath / "image"
        for made in (self.beneath, self.path):
            made.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m,mode=700", "sluice-loop-disk", self.beneath], check=True)
        with self.image.open("wb") as file:
            file.truncate(512 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", self.image], check=True)
        self.mount()

    def mount(self) -> None:
        subprocess.run(["mount", "-o", "loop,errors=remount-ro", self.image, self.path], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", self.path], check=True)

    def break_down(self) -> None:
        fill(self.beneath / "ballast")

    def repair(self) -> None:
        """As an operator would: not while it is mounted."""
        (self.beneath / "ballast").unlink()
        self.unmount()
        repaired = subprocess.run(["e2fsck", "-fy", self.image], capture_output=True, text=True, check=False)
        assert repaired.returncode < 4, repaired.stdout
        self.mount()

    @property
    def is_read_only(self) -> bool:
        line = next(line for line in Path("/proc/mounts").read_text().splitlines() if f" {self.path} " in line)
        options = line.split()[3].split(",")
        return "ro" in options or "emergency_ro" in options

    def end(self) -> None:
        for mounted in (self.path, self.beneath):
            subprocess.run(["umount", "--lazy", mounted], check=False)


@pytest.fixture
def loop_disk(folder: Path) -> Iterator[LoopDisk]:
    disk = LoopDisk(folder)
    yield disk
    disk.end()


@pytest.fixture
def key(workspace: Path) -> Key:
    return Key.make(workspace / "store-key")


def fill(path: Path) -> None:
    """Takes what room there is."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 4096)


@pytest.mark.deadline(120)
def test_full_disk(small_disk: Path, folder: Path, key: Key) -> None:
    """503 while it is full, 200 by itself when it is not; every message that was accepted arrives, and a worker may be killed meanwhile."""
    data = small_disk / "data"
    workers = [Worker(data, folder / f"worker{number}.log") for number in (1, 2)]
    try:
        token, path = register(workers[0], key)
        sender = Sender(key, path)
        accepted: list[str] = []
        for number in range(10_000):
            status, retry = sender.post(workers[number % 2], str(number))
            if status != 200:
                break
            accepted.append(str(number))
        assert (status, retry) == (503, "1") and len(accepted) > 500
        # Not a byte left: whatever is written now fails in SQLite.
        fill(small_disk / "ballast")
        for number in range(20_000, 20_020):
            assert sender.post(workers[number % 2], str(number))[0] == 503
        workers[0].kill()
        assert sender.post(workers[1], "20020")[0] == 503
        assert all(worker.process.poll() is None for worker in workers[1:])
        # While the device cannot be noted as connected it is told to come later, and nothing is lost.
        (small_disk / "ballast").unlink()
        got = receive(workers[1], token, 300)
        assert got == accepted[:300]
        for number in range(30_000, 30_020):
            assert sender.post(workers[1], str(number))[0] == 200
            accepted.append(str(number))
        workers[0] = Worker(data, folder / "worker1.log")
        got += receive(workers[0], token, len(accepted) - 300)
        assert got == accepted
        log = workers[1].log.read_text()
        assert "the store does not work" in log and "the store works again" in log
        assert log.count("the store does not work") < 5, "one line for a trouble, not one for each message"
        # What the full disk held back of the acknowledgements is written by and by.
        deadline = time.monotonic() + 20
        while not (checked := store("check", data)).stdout.startswith("whole: 0 messages, 1 registrations"):
            assert checked.returncode == 0 and time.monotonic() < deadline, checked
            time.sleep(0.5)
    finally:
        codes = [worker.stop() for worker in workers]
    assert codes == [0, 0]


@pytest.mark.deadline(120)
def test_broken_disk(loop_disk: LoopDisk, folder: Path, key: Key) -> None:
    """503 while writing fails, and nothing that was answered 200 is lost: not what was written shortly before, not what came between errors."""
    data = loop_disk.path / "data"
    worker = Worker(data, folder / "worker.log")
    try:
        token, path = register(worker, key)
        sender = Sender(key, path)
        accepted = [str(number) for number in range(200)]
        assert all(sender.post(worker, name)[0] == 200 for name in accepted)
        loop_disk.break_down()
        refused = 0
        for number in range(1000, 6000):
            status, retry = sender.post(worker, str(number))
            if status == 200:
                accepted.append(str(number))
                continue
            assert (status, retry) == (503, "1")
            refused += 1
            if refused > 200 and loop_disk.is_read_only:
                break
        assert refused > 200 and loop_disk.is_read_only and worker.process.poll() is None
        assert "the store does not work" in worker.log.read_text()
        assert worker.token(), "what needs no store goes on"
        worker.kill()
        loop_disk.repair()
        worker = Worker(data, folder / "repaired.log")
        assert sender.post(worker, "repaired")[0] == 200
        got = receive(worker, token, len(accepted) + 100)
        # At most what was under way at the kill was stored without an answer.
        assert set(got) >= {*accepted, "repaired"} and len(got) <= len(accepted) + 2
        assert store("check", data).returncode == 0
    finally:
        code = worker.stop()
    assert code == 0


@pytest.mark.deadline(120)
def test_killed_in_the_middle_of_batches(folder: Path, key: Key) -> None:
    """Two workers take messages from eight senders; one or the other is killed again and again."""
    data = folder / "data"
    workers = [Worker(data, folder / f"worker{number}.log") for number in (0, 1)]
    accepted: set[str] = set()
    over = threading.Event()

    def send(number: int, sender: Sender) -> None:
        count = 0
        while not over.is_set():
            count += 1
            with contextlib.suppress(OSError, http.client.HTTPException):
                if sender.post(workers[number % 2], f"{number}-{count}")[0] == 200:
                    accepted.add(f"{number}-{count}")

    try:
        token, path = register(workers[0], key)
        sender = Sender(key, path, "short")
        threads = [threading.Thread(target=send, args=(number, sender), daemon=True) for number in range(8)]
        for thread in threads:
            thread.start()
        for turn in range(6):
            before = len(accepted)
            while len(accepted) < before + 50:
                over.wait(0.01)
            workers[turn % 2].kill()
            workers[turn % 2] = Worker(data, folder / f"worker{turn % 2}.log")
        over.set()
        for thread in threads:
            thread.join(20)
        assert store("check", data).returncode == 0
        got = receive(workers[0], token, len(accepted) + 100)
        assert len(got) == len(set(got)), "acknowledged in order, so nothing comes twice"
        assert accepted <= set(got) and len(accepted) > 300
        # At most what each sender had under way at each kill was stored without an answer.
        assert len(got) <= len(accepted) + 6 * 8
    finally:
        over.set()
        codes = [worker.stop() for worker in workers]
    assert codes == [0, 0]


@pytest.mark.deadline(120)
def test_backup_and_restore(folder: Path, key: Key) -> None:
    """A back-up of two workers that write, put in place elsewhere: devices keep their tokens and get what was accepted before it."""
    data, copy, restored = folder / "data", folder / "copy", folder / "restored"
    workers = [Worker(data, folder / f"worker{number}.log") for number in (1, 2)]
    over = threading.Event()
    sender: Sender | None = None

    def send(number: int) -> None:
        count = 0
        while not over.is_set() and sender is not None:
            count += 1
            sender.post(workers[number], f"later-{number}-{count}")

    try:
        token, path = register(workers[0], key)
        sender = Sender(key, path, "short")
        for number in range(50):
            assert sender.post(workers[number % 2], str(number))[0] == 200
        threads = [threading.Thread(target=send, args=(number,), daemon=True) for number in (0, 1)]
        for thread in threads:
            thread.start()
        made = store("backup", data, copy)
        assert made.returncode == 0, made.stderr
        report = re.fullmatch(rf"{copy}: (\d+) messages, 1 registrations, (\d+) bytes, [\d.]+ s\n", made.stdout)
        assert report and int(report[1]) >= 50 and int(report[2]) == copy.stat().st_size
        assert "token-keys" in made.stderr
        again = store("backup", data, copy)
        assert again.returncode == 1 and "--force" in again.stderr
        assert store("backup", data, copy, "--force").returncode == 0
        over.set()
        for thread in threads:
            thread.join(20)
    finally:
        over.set()
        codes = [worker.stop() for worker in workers]
    assert codes == [0, 0]

    restored.mkdir(mode=0o700)
    shutil.copy(copy, restored / "messages.sqlite")
    shutil.copy(data / "token-keys", restored / "token-keys")
    worker = Worker(restored, folder / "restored.log")
    try:
        assert sender.post(worker, "new")[0] == 200
        got = receive(worker, token, 100_000)
        assert got[:50] == [str(number) for number in range(50)] and got[-1] == "new"
        assert all(name.startswith("later-") for name in got[50:-1])
    finally:
        assert worker.stop() == 0


@pytest.mark.deadline(60)
def test_damage_is_said_and_not_served(folder: Path, key: Key) -> None:
    """`store check`: 0, 1 or 2; no back-up of a damaged store; `--check-store` serves a whole one and refuses a damaged one."""
    data, copy = folder / "data", folder / "copy"
    assert store("check").returncode == 2 and store("backup", data).returncode == 2
    missing = store("check", data)
    assert missing.returncode == 1 and "--data" in missing.stderr
    worker = Worker(data, folder / "worker.log", "--check-store")
    register(worker, key)
    assert worker.stop() == 0
    worker = Worker(data, folder / "worker.log", "--check-store")
    assert "the database is whole" in worker.log.read_text()
    assert worker.stop() == 0
    whole = store("check", data)
    assert whole.returncode == 0 and whole.stdout.startswith("whole: 0 messages, 1 registrations")

    with contextlib.closing(sqlite3.connect(data / "messages.sqlite")) as database, database:
        database.execute("DELETE FROM application")
    damaged = store("check", data)
    assert damaged.returncode == 1
    assert damaged.stdout == "problem: 1 registrations are for an application that does not exist\n"
    assert str(data) in damaged.stderr and "restore a back-up" in damaged.stderr
    refused = store("backup", data, copy)
    assert refused.returncode == 1 and "no back-up was written" in refused.stderr and not copy.exists()
    command: list[str | Path] = [binary("sluice-worker"), "--data", data, "--public-url", "http://push.test", "--ua-port", "0"]
    ended = subprocess.run([*command, "--as-port", "0", "--check-store"], capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 1
    assert "1 registrations are for an application that does not exist" in ended.stderr and str(data) in ended.stderr


@pytest.mark.parametrize("only_one", [True, False])
def test_an_event_loop_for_each_processor_that_the_worker_may_use(tmp_path: Path, only_one: bool) -> None:
    """With more of them than processors it would spend its time on changing from one to the other."""
    usable = os.sched_getaffinity(0)
    try:
        if only_one:
            os.sched_setaffinity(0, {min(usable)})
        worker = Worker(tmp_path / "data", tmp_path / "log")
    finally:
        os.sched_setaffinity(0, usable)
    try:
        tasks = Path(f"/proc/{worker.process.pid}/task").iterdir()
        loops = [name for name in (task.joinpath("comm").read_text() for task in tasks) if name.startswith("NIO-ELT")]
        assert len(loops) == 1 if only_one else 1 <= len(loops) <= len(usable), loops
    finally:
        assert worker.stop() == 0
