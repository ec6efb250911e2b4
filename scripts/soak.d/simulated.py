"""The long runs of the simulated network: `scripts/soak --seeds` tries seeds, `scripts/soak --mutants` shows that the seeds find faults."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from mutants import MUTANTS, Mutant

PROJECT = Path(__file__).resolve().parents[2]
SCRATCH = Path(os.environ.get("SWIFTPM_BUILD_DIR", PROJECT / ".build"))
BUILD = ["-c", "release", "-Xswiftc", "-enable-testing"]
RUNS = "WideScenarios/m01"
BATCH = 1_000  # seeds that one process tries; what a process found is printed when it ends
SHOWN = 20

# The core and the wide runs, and nothing that would have to be fetched or takes long to compile.
PACKAGE = """// swift-tools-version: 6.3
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6), .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("InternalImportsByDefault"),
    .enableExperimentalFeature("Lifetimes"),
]
let package = Package(
    name: "mutants",
    targets: [
        .target(name: "DispatcherCore", swiftSettings: settings),
        .testTarget(name: "DispatcherCoreTests", dependencies: ["DispatcherCore"], swiftSettings: settings),
    ])
"""
TEST_SOURCES = [
    "Simulation",
    "Scenarios/WideRun.swift",
    "Scenarios/WideRun+Loading.swift",
    "Scenarios/Visitor.swift",
    "Scenarios/Stranger.swift",
    "Scenarios/WideScenarios.swift",
]
SWITCH = """import Glibc

/// Which of the faults is switched on; 0 = none.
@usableFromInline let chosenMutant: Int = getenv("SLUICE_MUTANT").flatMap { Int(String(cString: $0)) } ?? 0
"""


@dataclass
class Outcome:
    """What a run of the seeds came to."""

    failed: dict[int, str]  # seed: the first thing that was wrong
    ended: str  # how the process ended, if not by itself

    @property
    def well(self) -> bool:
        return not self.failed and not self.ended


def run_seeds(package: Path, first: int, count: int, limit: float, **environment: str) -> Outcome:
    settings = {**os.environ, "SLUICE_FROM": str(first), "SLUICE_SEEDS": str(count), "SWIFT_BACKTRACE": "enable=no", **environment}
    for name in ("SLUICE_SEED", "SLUICE_COVERAGE", "SWIFTPM_BUILD_DIR"):
        if name != "SWIFTPM_BUILD_DIR" or package != PROJECT:
            settings.pop(name, None)
    process = subprocess.Popen(
        ["swift", "test", *BUILD, "--skip-build", "--filter", RUNS],
        cwd=package, env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    ended = ""
    try:
        output, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        output, _ = process.communicate()
        ended = f"no end within {limit:.0f} s"
    failed: dict[int, str] = {}
    for found in re.finditer(r"SLUICE_SEED=(\d+)\n\s*(?:↳\s*)?(.*)", output):
        failed.setdefault(int(found[1]), found[2].strip())
    if not ended and process.returncode != 0 and not failed:
        lines = [line for line in output.splitlines() if "Fatal error" in line or "rror:" in line]
        ended = lines[0].strip() if lines else f"exit code {process.returncode}"
    if not ended and not failed and "Test run with 1 test" not in output:
        ended = "the wide runs were not found"
    return Outcome(failed, ended)


# MARK: Seeds


def clock(seconds: float) -> str:
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"


def soak(chosen: argparse.Namespace) -> bool:
    first, end = chosen.first, chosen.first + chosen.seeds
    print(f"seeds {first} to {end - 1}; to go on after an interruption: scripts/soak --seeds N --from SEED", flush=True)
    begin = time.monotonic()
    failed: dict[int, str] = {}
    seed = first
    while seed < end:
        count = min(BATCH, end - seed)
        outcome = run_seeds(PROJECT, seed, count, limit=3_600)
        failed.update(outcome.failed)
        for number, text in outcome.failed.items():
            if len(failed) <= SHOWN:
                print(f"SLUICE_SEED={number}: {text}")
        if outcome.ended:
            print(f"seeds {seed} to {seed + count - 1}: {outcome.ended}")
            return False
        seed += count
        spent = time.monotonic() - begin
        left = spent / (seed - first) * (end - seed)
        rate = (seed - first) / spent
        print(f"{seed - first:,} of {chosen.seeds:,} seeds, {len(failed)} failed, {rate:.1f}/s, {clock(left)} left", flush=True)
    if failed:
        print(f"{len(failed)} seeds failed: {' '.join(map(str, list(failed)[:100]))}")
        print("one of them again: SLUICE_SEED=N SLUICE_TRACE=1 swift test -c release -Xswiftc -enable-testing --filter " + RUNS)
    return not failed


# MARK: Mutants


def apply(mutants: list[Mutant], sources: Path) -> None:
    """Builds every fault into the copy, each behind its switch."""
    for number, mutant in enumerate(mutants, start=1):
        path = sources / mutant.file
        text = path.read_text()
        found = text.count(mutant.old)
        if found != 1:
            raise SystemExit(f"mutant {mutant.name}: its text is {found} times in {mutant.file}, expected once: change it in mutants.py")
        path.write_text(text.replace(mutant.old, mutant.new.replace("{on}", f"(chosenMutant == {number})")))


def make_package(folder: Path, mutants: list[Mutant]) -> None:
    for part in ("Sources", "Tests"):
        shutil.rmtree(folder / part, ignore_errors=True)
    core, tests = folder / "Sources/DispatcherCore", folder / "Tests/DispatcherCoreTests"
    shutil.copytree(PROJECT / "Sources/DispatcherCore", core)
    for source in TEST_SOURCES:
        path = PROJECT / "Tests/DispatcherCoreTests" / source
        (tests / source).parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, tests / source)
        else:
            shutil.copy2(path, tests / source)
    apply(mutants, core)
    (core / "ChosenMutant.swift").write_text(SWITCH)
    (folder / "Package.swift").write_text(PACKAGE)


def mutate(chosen: argparse.Namespace) -> bool:
    names = [mutant.name for mutant in MUTANTS]
    if len(set(names)) != len(names):
        raise SystemExit("two mutants have the same name")
    for name in chosen.only:
        if name not in names:
            raise SystemExit(f"there is no mutant {name}; there are: {' '.join(names)}")
    folder = SCRATCH / "mutants"
    folder.mkdir(parents=True, exist_ok=True)
    make_package(folder, MUTANTS)
    print(f"{len(MUTANTS)} faults are built into one copy of the core", flush=True)
    environment = {name: value for name, value in os.environ.items() if name != "SWIFTPM_BUILD_DIR"}
    built = subprocess.run(["swift", "build", *BUILD, "--build-tests"], cwd=folder, env=environment, capture_output=True, text=True)
    if built.returncode != 0:
        print("\n".join(line for line in built.stdout.splitlines() if "error:" in line) or built.stdout[-3_000:] + built.stderr[-3_000:])
        return False
    print(f"{chosen.mutant_seeds} seeds without a fault: ", end="", flush=True)
    base = run_seeds(folder, chosen.first, chosen.mutant_seeds, limit=3_600)
    if not base.well:
        print(f"NOT well ({base.ended or base.failed}): nothing can be said about the faults")
        return False
    print("all well")
    caught = 0
    wanted = [mutant for mutant in MUTANTS if not chosen.only or mutant.name in chosen.only]
    for mutant in wanted:
        number = MUTANTS.index(mutant) + 1
        begin = time.monotonic()
        outcome = run_seeds(
            folder, chosen.first, chosen.mutant_seeds, limit=900, SLUICE_MUTANT=str(number), SLUICE_UNTIL_FAILURE="1"
        )  # fmt: skip
        spent = time.monotonic() - begin
        if outcome.well:
            print(f"  SURVIVED {mutant.name} ({spent:.0f} s)", flush=True)
            continue
        caught += 1
        seed, text = next(iter(outcome.failed.items()), (0, outcome.ended))
        print(f"  caught   {mutant.name}: {f'seed {seed}: ' if seed else ''}{text[:150]}", flush=True)
    print(f"{caught} of {len(wanted)} faults were caught")
    return caught == len(wanted)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/soak", description="Long runs of the simulated network.")
    parser.add_argument("--seeds", type=int, metavar="N", help="so many seeds of the wide runs (100000 is a night's work)")
    parser.add_argument("--from", type=int, default=1, dest="first", metavar="SEED", help="the first seed (default 1)")
    parser.add_argument("--mutants", action="store_true", help="each fault of scripts/soak.d/mutants.py must be caught by the seeds")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="only this fault")
    parser.add_argument("--mutant-seeds", type=int, default=200, metavar="N", help="seeds that a fault has to survive (default 200)")
    chosen = parser.parse_args()
    if not chosen.mutants and (chosen.seeds is None or chosen.seeds < 1):
        parser.error("--seeds N with N from 1, or --mutants")
    return chosen


def main() -> int:
    chosen = arguments()
    well = mutate(chosen) if chosen.mutants else soak(chosen)
    print("All well." if well else "NOT WELL.")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
