"""The faults of `scripts/soak --mutants` follow the engine: a changed line changes its fault with it."""

from __future__ import annotations

import importlib.util
import sys

from sluicelab.paths import SCRIPTS


def test_each_fault_is_a_place_of_the_engine() -> None:
    spec = importlib.util.spec_from_file_location("mutants", SCRIPTS / "soak.d" / "mutants.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules["mutants"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    core = SCRIPTS.parent / "Sources" / "DispatcherCore"
    found = {mutant.name: (core / mutant.file).read_text().count(mutant.old) for mutant in module.MUTANTS}
    assert len(found) == len(module.MUTANTS) >= 20
    assert {name: count for name, count in found.items() if count != 1} == {}
