"""A worker's store with many registrations, made faster than devices could."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

APPLICATIONS = 10_000
FILES = ("messages.sqlite", "messages.sqlite-wal")


def fill(data: Path, registrations: int, applications: int = APPLICATIONS) -> None:
    """Adds devices with one registration each to the store that a worker has made in `data`. No worker may run."""
    with sqlite3.connect(data / "messages.sqlite", isolation_level=None) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -400000")
        db.execute("PRAGMA temp_store = MEMORY")
        db.execute("BEGIN IMMEDIATE")
        numbers = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?) SELECT "
        db.execute(
            f"INSERT INTO application (token, watoken, pbkbase64) {numbers} randomblob(32), 'bench-' || i, ? FROM n",
            (applications, "A" * 392),
        )
        (first,) = db.execute("SELECT MAX(number) - ? + 1 FROM application", (applications,)).fetchone()
        db.execute("CREATE TEMP TABLE fresh (id BLOB, application INTEGER)")
        db.execute(f"INSERT INTO fresh {numbers} randomblob(16), ? + i % ? FROM n", (registrations, first, applications))
        db.execute("INSERT INTO device (id, worker, connection) SELECT id, NULL, rowid FROM fresh ORDER BY id")
        db.execute("INSERT INTO registration (device, application, cursor) SELECT id, application, 0 FROM fresh ORDER BY id")
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def count(data: Path) -> int:
    """How many registrations there are."""
    with sqlite3.connect(data / "messages.sqlite") as db:
        (found,) = db.execute("SELECT COUNT(*) FROM registration").fetchone()
    db.close()
    return int(found)


def forget_pages(data: Path) -> None:
    """The system forgets what it has of the files in memory: the next reader reads the disk."""
    for name in FILES:
        path = data / name
        if path.exists():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)


def size(data: Path) -> int:
    """Bytes of the database on disk."""
    return sum((data / name).stat().st_size for name in FILES if (data / name).exists())
