"""scripts/install: what it puts where, that systemd understands its units, and that it takes all of it away again."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from sluicelab.paths import PROJECT, binary


def install(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ, SLUICE_BINARIES=str(binary("sluice").parent))
    return subprocess.run([str(PROJECT / "scripts/install"), *arguments], capture_output=True, text=True, timeout=60, env=environment)


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_installs_and_takes_away(workspace: Path) -> None:
    root = workspace / "root"
    done = install("--destdir", str(root), "--prefix", "/opt/sluice")
    assert done.returncode == 0, done.stdout + done.stderr
    assert files(root) == {
        "opt/sluice/bin/sluice",
        "opt/sluice/bin/sluice-dispatcher",
        "opt/sluice/bin/sluice-worker",
        "opt/sluice/share/sluice/filters/client-side.filter",
        "opt/sluice/share/sluice/filters/server-side.filter",
        "etc/systemd/system/sluice-dispatcher.service",
        "etc/systemd/system/sluice-worker@.service",
        "etc/sluice/dispatcher.yaml",
        "etc/sluice/worker-1.env",
    }
    for unit in ("sluice-dispatcher.service", "sluice-worker@.service"):
        text = (root / "etc/systemd/system" / unit).read_text()
        assert "@prefix@" not in text and "/opt/sluice/bin/" in text
    # The example is a configuration, and the installed filters are read.
    program = root / "opt/sluice/bin/sluice-dispatcher"
    command = [str(program), "--config", str(root / "etc/sluice/dispatcher.yaml"), "--check"]
    checked = subprocess.run(
        command + ["--filters", str(root / "opt/sluice/share/sluice/filters")], capture_output=True, text=True, timeout=20
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    (root / "etc/sluice/dispatcher.yaml").write_text("# mine\n")
    assert install("--destdir", str(root), "--prefix", "/opt/sluice").returncode == 0
    assert (root / "etc/sluice/dispatcher.yaml").read_text() == "# mine\n", "what somebody wrote stays"
    assert install("--destdir", str(root), "--prefix", "/opt/sluice", "--remove").returncode == 0
    assert files(root) == {"etc/sluice/dispatcher.yaml", "etc/sluice/worker-1.env"}


def test_systemd_understands_the_units(workspace: Path) -> None:
    root = workspace / "units"
    assert install("--destdir", str(root)).returncode == 0
    # The targets that units refer to are looked for in the same tree.
    shutil.copytree("/lib/systemd/system", root / "lib/systemd/system", symlinks=True)
    # So are the system's own programs that they run.
    (root / "bin").mkdir()
    shutil.copy("/bin/kill", root / "bin/kill")
    command = ["systemd-analyze", "verify", "--root", str(root), "--man=no"]
    units = ["sluice-dispatcher.service", "sluice-worker@1.service"]
    done = subprocess.run([*command, *units], capture_output=True, text=True, timeout=30)
    complaints = [line for line in (done.stdout + done.stderr).splitlines() if "sluice-" in line]
    assert complaints == [], complaints


def test_wrong_usage_is_said() -> None:
    for arguments in (["--prefix"], ["--prefix", "here"], ["--now"]):
        assert install(*arguments).returncode == 2
